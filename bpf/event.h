/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Counting and telling. Counters are the evidence and never miss; events are a sample: at most EVENTS_PER_SECOND per
 * reason, second and CPU, and what the ring could not take is counted as lost. What is no drop but worth telling (a MAC
 * that moved) is a notice: counted and told in the same way.
 */
#ifndef SEKISHO_EVENT_H
#define SEKISHO_EVENT_H

#include "image.h"

#define EVENTS_PER_SECOND 20

enum hook {
	HOOK_XDP = 1,
	HOOK_DEVMAP = 2,
	HOOK_PORT_IN = 3,
	HOOK_PORT_OUT = 4,
	HOOK_TUNNEL_IN = 5,
	HOOK_TUNNEL_OUT = 6,
};

/* What is told though the packet goes its way. Names in dataplane/packet/event.go; append, never renumber. */
enum notice {
	NOTICE_MAC_MOVED = 1, /* an address of a segment without registered MACs speaks with another MAC than before */
};

#define MAX_NOTICES 8

/* Read by dataplane/packet/event.go, by offset. */
struct event {
	__u64 time;   /* CLOCK_MONOTONIC, ns */
	__u32 reason; /* 0: a notice */
	__u32 ifindex;
	__u32 length;
	__u32 rule;  /* that permitted it before a later step refused it; 0: none did */
	__u32 epoch; /* of the tables that decided; 0: none did yet */
	__u16 segment;
	__u16 vlan;
	__u16 outer;
	__u16 sport;
	__u16 dport;
	__u8 hook;
	__u8 family; /* 0: addresses not known */
	__u8 proto;
	__u8 notice; /* 0: a drop */
	__u8 smac[MAC_LEN];
	__u8 dmac[MAC_LEN];
	__u8 known[MAC_LEN]; /* mac-moved: the MAC that was known before */
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

/* Allowed packets by source segment << 16 | destination segment. Programs add, atomically, when what a flow has counted is
 * booked (not for each packet); the loader reads and adds what live flows hold. A pair that finds no room is counted under
 * 0, which the loader makes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct count);
} segment_pairs SEC(".maps");

/* Flows opened so far. Written where a flow is entered, read by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} flows_opened SEC(".maps");

/* Notices by kind. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_NOTICES);
	__type(key, __u32);
	__type(value, struct count);
} notices SEC(".maps");

/* Frames that the egress program refused since the last batch; redirect.bpf.c takes them out of what the kernel calls not
 * sent. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} refused_at_exit SEC(".maps");

struct budget {
	__u64 second;
	__u64 used;
};

/* Events spent per reason, then per kind of notice. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_REASONS + MAX_NOTICES);
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
	__u64 ticks; /* written by the test, see given_clock */
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

/* what: a reason, or MAX_REASONS + a kind of notice */
INLINE int event_due(__u32 what)
{
	struct budget *b = bpf_map_lookup_elem(&event_budget, &what);
	__u64 second = bpf_jiffies64() / hz; /* the clock costs 19 ns */

	if (!b)
		return 0;
	if (b->second != second) {
		b->second = second;
		b->used = 0;
	}
	return b->used++ < EVENTS_PER_SECOND;
}

/* Would it be due? Nothing is spent. */
INLINE int event_wanted(__u32 what)
{
	struct budget *b = bpf_map_lookup_elem(&event_budget, &what);

	return !b || b->second != bpf_jiffies64() / hz || b->used < EVENTS_PER_SECOND;
}

/* Writes an event of what the packet shows; the caller sets what kind it is and submits it. Null: counted as lost. */
INLINE struct event *event_of(enum hook hook, __u32 ifindex, __u16 segment, const struct packet *p)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		__u32 zero = 0;
		__u64 *lost = bpf_map_lookup_elem(&events_lost, &zero);

		if (lost)
			(*lost)++;
		return 0;
	}
	e->time = bpf_ktime_get_ns();
	e->ifindex = ifindex;
	e->length = p->length;
	e->rule = p->rule;
	e->epoch = p->epoch;
	e->segment = segment;
	e->vlan = p->vlan;
	e->outer = p->outer;
	e->sport = p->sport;
	e->dport = p->proto == PROTO_ICMP || p->proto == PROTO_ICMP6 ? p->type : p->dport;
	e->hook = hook;
	e->family = p->family;
	e->proto = p->proto;
	__builtin_memcpy(e->smac, p->smac, MAC_LEN);
	__builtin_memcpy(e->dmac, p->dmac, MAC_LEN);
	__builtin_memset(e->known, 0, MAC_LEN);
	e->src = p->src;
	e->dst = p->dst;
	return e;
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
	e = event_of(hook, ifindex, segment, p);
	if (!e)
		return;
	e->reason = reason;
	e->notice = 0;
	bpf_ringbuf_submit(e, 0);
}

/* Counts a notice and, within the budget, writes an event of it that the caller completes and submits. known: the MAC that was
 * known before. */
INLINE struct event *noticed(enum notice kind, enum hook hook, __u32 ifindex, __u16 segment, const struct packet *p,
			     const __u8 *known)
{
	__u32 number = kind;
	struct count *c = bpf_map_lookup_elem(&notices, &number);
	struct event *e;

	if (c)
		add(c, p->length);
	if (!event_due(MAX_REASONS + number))
		return 0;
	e = event_of(hook, ifindex, segment, p);
	if (!e)
		return 0;
	e->reason = 0;
	e->notice = number;
	__builtin_memcpy(e->known, known, MAC_LEN);
	return e;
}

/* Books packets that went from one segment to another: what a flow counted in one direction. */
INLINE void book_pair(__u16 from, __u16 to, __u64 packets, __u64 bytes)
{
	__u32 pair = (__u32)from << 16 | to;
	struct count *c = bpf_map_lookup_elem(&segment_pairs, &pair);

	if (!c) {
		struct count fresh = {};

		bpf_map_update_elem(&segment_pairs, &pair, &fresh, BPF_NOEXIST);
		c = bpf_map_lookup_elem(&segment_pairs, &pair);
	}
	if (!c) {
		pair = 0;
		c = bpf_map_lookup_elem(&segment_pairs, &pair);
	}
	if (!c)
		return;
	__sync_fetch_and_add(&c->packets, packets);
	__sync_fetch_and_add(&c->bytes, bytes);
}

INLINE void count_refused_at_exit(void)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&refused_at_exit, &zero);

	if (n)
		(*n)++;
}

/* Counts a flow that was entered. */
INLINE void count_opened(void)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&flows_opened, &zero);

	if (n)
		(*n)++;
}

/* Counts an allowed packet. */
INLINE void passed(__u8 from, __u8 to, __u32 bytes)
{
	__u32 pair = (from & (MAX_ZONES - 1)) * MAX_ZONES + (to & (MAX_ZONES - 1));
	struct count *c = bpf_map_lookup_elem(&allowed, &pair);

	if (c)
		add(c, bytes);
}

#endif
