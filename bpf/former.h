/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Flows of layout 1. Its programs kept them in one hash table, by both ends with their segments; an upgrade leaves that table
 * pinned. When a packet finds no line, it looks there, and what it finds moves into a line: counted against the quotas, as
 * old as it was, and with epoch 0, so that the present tables are asked whether they still permit it. Nothing is read there
 * after former_until, one longest idle time after the upgrade: what was not used until then is over by itself.
 *
 * What it had counted is not taken along; the former programs have booked it. Two CPUs that move the same flow at once make
 * two lines of it, see line.h.
 */
#ifndef SEKISHO_FORMER_H
#define SEKISHO_FORMER_H

#include "event.h"
#include "line.h"
#include "quota.h"

/* In layout 1 the end with the lower (segment, address, port) is A. */
struct former_key {
	union addr a;
	union addr b;
	__u16 segment_a;
	__u16 segment_b;
	__u16 port_a;
	__u16 port_b;
	__u8 proto;
	__u8 asker; /* 1: A, 2: B */
	__u8 pad[2];
};

struct former_flow {
	__u64 last; /* bpf_ktime_get_coarse_ns */
	__u64 packets[2];
	__u64 bytes[2];
	__u32 epoch;
	__u32 rule;
	__u16 port;
	__u8 from_b;
	__u8 bwclass;
	__u8 state; /* FLOW_FIN_A .. FLOW_ANSWERED mean the same */
	__u8 version;
	__u8 pad[10];
};

/* The loader puts the pinned table of layout 1 in its place. Programs read and remove. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct former_key);
	__type(value, struct former_flow);
} former_flows SEC(".maps");

/* Too big for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct former_key);
} former_keys SEC(".maps");

/* Set by the loader: CLOCK_MONOTONIC, ns. 0: there is no former table. */
const volatile __u64 former_until = 0;

#define FORMER_VERSION 1
#define FORMER_STATES (FLOW_FIN_A | FLOW_FIN_B | FLOW_RST | FLOW_ANSWERED)

INLINE void former_addr(union addr *to, const __u32 *words, __u32 family)
{
	if (family == FAMILY_IP6)
		__builtin_memcpy(to, words, sizeof(*to));
	else
		map_ip4(to, words[3]);
}

/* Is the end A of these ends also A in layout 1? */
INLINE int former_order(const struct ends *e)
{
	__u32 a = e->tag & SEGMENT_MASK, b = e->tag >> SEGMENT_BITS & SEGMENT_MASK;
	int i;

	if (a != b)
		return a < b;
#pragma unroll
	for (i = 0; i < 4; i++) {
		if (e->a[i] != e->b[i])
			return bpf_ntohl(e->a[i]) < bpf_ntohl(e->b[i]);
	}
	return 1;
}

#define FORMER_FOUND (1ULL << 32)

/* Takes a flow out of the former table: FORMER_FOUND | seconds since its last packet << 8 | FLOW_*, as a line has it; 0: there
 * is none. */
__attribute__((noinline)) __u64 former_take(const struct ends *e)
{
	__u32 zero = 0, state, asker, turned;
	__u64 now = bpf_ktime_get_ns(), idle, found = 0;
	struct former_key *k = bpf_map_lookup_elem(&former_keys, &zero);
	struct former_flow *f;

	if (!e || !k || now > former_until)
		return 0;
	turned = !former_order(e);
	asker = e->tag >> TAG_ASKER & 3;
	__builtin_memset(k, 0, sizeof(*k));
	former_addr(&k->a, turned ? e->b : e->a, e->family);
	former_addr(&k->b, turned ? e->a : e->b, e->family);
	k->segment_a = (turned ? e->tag >> SEGMENT_BITS : e->tag) & SEGMENT_MASK;
	k->segment_b = (turned ? e->tag : e->tag >> SEGMENT_BITS) & SEGMENT_MASK;
	k->port_a = turned ? e->ports >> 16 : e->ports;
	k->port_b = turned ? e->ports : e->ports >> 16;
	k->proto = e->tag >> TAG_PROTO;
	k->asker = asker && turned ? 3 - asker : asker;
	f = bpf_map_lookup_elem(&former_flows, k);
	if (!f)
		return 0;
	if (f->version == FORMER_VERSION) {
		idle = now > f->last ? (now - f->last) / SECOND : 0;
		state = f->state & FORMER_STATES;
		if (turned)
			state = (state & (FLOW_RST | FLOW_ANSWERED)) | (state & FLOW_FIN_A ? FLOW_FIN_B : 0) |
				(state & FLOW_FIN_B ? FLOW_FIN_A : 0);
		if (!!f->from_b != turned)
			state |= FLOW_FROM_B;
		found = FORMER_FOUND | (idle > 1000000 ? 1000000 : idle) << 8 | state;
	}
	bpf_map_delete_elem(&former_flows, k);
	return found;
}

#endif
