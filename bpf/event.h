/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Counting and telling. Counters are the evidence and never miss; events are a sample: at most EVENTS_PER_SECOND per
 * reason, second and CPU, and what the ring could not take is counted as lost.
 */
#ifndef SEKISHO_EVENT_H
#define SEKISHO_EVENT_H

#include "tables.h"

#define EVENTS_PER_SECOND 20

enum hook {
	HOOK_XDP = 1,
	HOOK_DEVMAP = 2,
	HOOK_PORT_IN = 3,
	HOOK_PORT_OUT = 4,
	HOOK_TUNNEL_IN = 5,
	HOOK_TUNNEL_OUT = 6,
};

struct event {
	__u64 time; /* CLOCK_MONOTONIC, ns */
	__u32 reason;
	__u32 ifindex;
	__u32 length;
	__u16 segment;
	__u16 vlan;
	__u16 sport;
	__u16 dport;
	__u8 hook;
	__u8 family; /* 0: addresses not known */
	__u8 proto;
	__u8 pad;
	__u8 smac[MAC_LEN];
	__u8 dmac[MAC_LEN];
	union addr src;
	union addr dst;
};

/* Drops by reason. Written by every program, read by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_REASONS);
	__type(key, __u32);
	__type(value, struct count);
} drops SEC(".maps");

/* Allowed packets by source zone * MAX_ZONES + destination zone. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_ZONES *MAX_ZONES);
	__type(key, __u32);
	__type(value, struct count);
} allowed SEC(".maps");

struct budget {
	__u64 second;
	__u64 used;
};

/* Events spent per reason. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_REASONS);
	__type(key, __u32);
	__type(value, struct budget);
} event_budget SEC(".maps");

/* Events that the rate limit kept back are not lost, they were never due; this counts those that the ring refused. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} events_lost SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} events SEC(".maps");

/* Set when loaded for a test: every verdict is written where the test reads it without a system call. In the programs that
 * guard ports it is 0, and the verifier removes what depends on it. */
const volatile __u32 record_verdicts = 0;

struct verdict {
	__u32 reason;
	__u32 rule;
	__u32 opened;
	__u32 runs;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct verdict);
	__uint(map_flags, BPF_F_MMAPABLE);
} verdicts SEC(".maps");

INLINE void record(__u32 reason, __u32 rule, __u32 opened)
{
	__u32 zero = 0;
	struct verdict *v;

	if (!record_verdicts)
		return;
	v = bpf_map_lookup_elem(&verdicts, &zero);
	if (!v)
		return;
	v->reason = reason;
	v->rule = rule;
	v->opened = opened;
	v->runs++;
}

INLINE void add(struct count *c, __u32 bytes)
{
	c->packets++;
	c->bytes += bytes;
}

INLINE int event_due(__u32 reason)
{
	struct budget *b = bpf_map_lookup_elem(&event_budget, &reason);
	__u64 second = bpf_ktime_get_coarse_ns() >> 30;

	if (!b)
		return 0;
	if (b->second != second) {
		b->second = second;
		b->used = 0;
	}
	return b->used++ < EVENTS_PER_SECOND;
}

/* Counts a drop and, within the budget, tells of it. */
INLINE void dropped(__u32 reason, enum hook hook, __u32 ifindex, __u16 segment, const struct packet *p)
{
	struct count *c = bpf_map_lookup_elem(&drops, &reason);
	struct event *e;

	record(reason, 0, 0);
	if (c)
		add(c, p->length);
	if (!event_due(reason))
		return;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		__u32 zero = 0;
		__u64 *lost = bpf_map_lookup_elem(&events_lost, &zero);

		if (lost)
			(*lost)++;
		return;
	}
	e->time = bpf_ktime_get_ns();
	e->reason = reason;
	e->ifindex = ifindex;
	e->length = p->length;
	e->segment = segment;
	e->vlan = p->vlan;
	e->sport = p->sport;
	e->dport = p->proto == PROTO_ICMP || p->proto == PROTO_ICMP6 ? p->type : p->dport;
	e->hook = hook;
	e->family = p->family;
	e->proto = p->proto;
	e->pad = 0;
	__builtin_memcpy(e->smac, p->smac, MAC_LEN);
	__builtin_memcpy(e->dmac, p->dmac, MAC_LEN);
	e->src = p->src;
	e->dst = p->dst;
	bpf_ringbuf_submit(e, 0);
}

/* Counts an allowed packet. */
INLINE void passed(const struct tables *t, __u32 rule, __u8 from, __u8 to, __u32 bytes)
{
	__u32 pair = (from & (MAX_ZONES - 1)) * MAX_ZONES + (to & (MAX_ZONES - 1));
	struct count *c = bpf_map_lookup_elem(&allowed, &pair);
	void *table;

	if (c)
		add(c, bytes);
	table = bpf_map_lookup_elem(&rule_counts, &t->slot);
	c = table ? bpf_map_lookup_elem(table, &rule) : 0;
	if (c)
		add(c, bytes);
}

#endif
