/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * How much of the flow table one segment and one station may take: live flows, and new flows a second, by who opened them.
 * A zero in the segment's limits means no bound of its own; the segment's live flows are then bounded by a share of the
 * whole table, so that nobody fills it for all.
 *
 * Live flows are counted exactly, by atomics when a line is entered and when it is given back. Two CPUs that enter at the
 * limit at once may both be refused; never are both let in.
 *
 * A rate is kept as the time until which it is used up (the generic cell rate algorithm, ITU-T I.371): one word, taken by
 * compare-and-swap. Bursts of one second's worth pass. The clock is the tick.
 *
 * Stations are counted in a table of two-way sets with a 32-bit check of segment and address. What finds both ways taken by
 * live others shares one of them: two stations then have one bound together, which refuses early and never late. Two
 * stations of one check in one set do so, too (once in 2^32 pairs and sets).
 */
#ifndef SEKISHO_QUOTA_H
#define SEKISHO_QUOTA_H

#include "event.h"
#include "line.h"

#define SECOND 1000000000ULL

/* By segment number. Written by programs, read by the loader. */
struct segment_use {
	__u32 live;
	__u32 pad;
	__u64 rate_until; /* ns, ticks' clock */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_SEGMENTS);
	__type(key, __u32);
	__type(value, struct segment_use);
} segment_uses SEC(".maps");

/* One station that opened flows lately; of its head only the whole word is changed. */
struct station_use {
	__u64 head; /* check | live << 32 */
	__u64 rate_until;
};

struct station_set {
	struct station_use way[2];
};

/* Written by programs only. The loader sets the size: a power of two. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct station_set);
} station_uses SEC(".maps");

/* Set by the loader. */
const volatile __u32 station_mask = 0;  /* number of sets - 1 */
const volatile __u32 segment_quota = 0; /* live flows of a segment that has no bound of its own */
const volatile __u32 given_clock = 0;   /* for tests: the ticks are those of the map verdicts */

/* What bounds the initiators of one segment. */
INLINE int limits_of(const struct tables *t, __u32 number, struct limits *l)
{
	if (!segment_of(t, number))
		return DROP_FLOW_SEGMENT_QUOTA;
	*l = t->head->limits[number & (MAX_SEGMENTS - 1)];
	if (!l->flows)
		l->flows = segment_quota;
	return PASS;
}

INLINE __u64 ticks(void)
{
	__u32 zero = 0;
	struct verdict *v;

	if (!given_clock)
		return bpf_jiffies64();
	v = bpf_map_lookup_elem(&verdicts, &zero);
	return v ? v->ticks : 0;
}

/* Takes one of so many a second; 0: they are used up. */
INLINE int take_rate(__u64 *until, __u32 a_second, __u64 now)
{
	int i;

	if (!a_second)
		return 1;
#pragma clang loop unroll(disable)
	for (i = 0; i < 3; i++) {
		__u64 old = *(volatile __u64 *)until;
		__u64 next = (old > now ? old : now) + SECOND / a_second;

		if (next > now + SECOND)
			return 0;
		if (__sync_val_compare_and_swap(until, old, next) == old)
			return 1;
	}
	return 0;
}

#define STATION_KEYS (2 * OTHER_KEYS)
#define STATION_WORDS 6 /* keys of each of the two hashes */
#define LIVE_ONE (1ULL << 32)

struct station_place {
	__u32 set;
	__u32 check;
};

/* Where the station is counted that is the initiator of these ends. */
INLINE void station_place_of(const struct ends *e, int from_b, struct station_place *at)
{
	const volatile __u64 *k = hash_keys + STATION_KEYS, *k2 = k + STATION_WORDS;
	__u32 segment = e->tag >> (from_b ? SEGMENT_BITS : 0) & SEGMENT_MASK;
	__u32 last = from_b ? e->b[3] : e->a[3];
	__u64 h = k[0] + k[1] * last + k[2] * (segment | e->family << SEGMENT_BITS);
	__u64 h2 = k2[0] + k2[1] * last + k2[2] * (segment | e->family << SEGMENT_BITS);

	if (e->family == FAMILY_IP6) {
		__u32 w0 = from_b ? e->b[0] : e->a[0], w1 = from_b ? e->b[1] : e->a[1], w2 = from_b ? e->b[2] : e->a[2];

		h += k[3] * w0 + k[4] * w1 + k[5] * w2;
		h2 += k2[3] * w0 + k2[4] * w1 + k2[5] * w2;
	}
	at->set = h >> 32;
	at->check = h2 >> 32;
}

/* Counts one more flow of a station; what it was counted in goes into state. PASS or a reason. */
INLINE int station_enter(const struct ends *e, __u32 from_b, const struct limits *limits, __u8 *state)
{
	struct station_place at;
	struct station_set *set;
	struct station_use *use;
	__u64 now = ticks() * (SECOND / hz);
	__u32 number, way;
	int i;

	station_place_of(e, from_b, &at);
	number = at.set & station_mask;
	set = bpf_map_lookup_elem(&station_uses, &number);
	if (!set)
		return DROP_FLOW_STATION_QUOTA;
#pragma clang loop unroll(disable)
	for (i = 0; i < 3; i++) {
		__u64 first = *(volatile __u64 *)&set->way[0].head, second = *(volatile __u64 *)&set->way[1].head;
		__u64 head, next;
		int fresh = 0;

		if ((__u32)first == at.check) {
			way = 0;
		} else if ((__u32)second == at.check) {
			way = 1;
		} else if (!(first >> 32) && set->way[0].rate_until <= now) {
			way = 0;
			fresh = 1;
		} else if (!(second >> 32) && set->way[1].rate_until <= now) {
			way = 1;
			fresh = 1;
		} else {
			way = at.set >> 31;
		}
		use = &set->way[way & 1];
		head = way & 1 ? second : first;
		if (limits->station_flows && head >> 32 >= limits->station_flows)
			return DROP_FLOW_STATION_QUOTA;
		next = fresh ? LIVE_ONE | at.check : head + LIVE_ONE;
		if (__sync_val_compare_and_swap(&use->head, head, next) == head) {
			if (!take_rate(&use->rate_until, limits->station_rate, now)) {
				__sync_fetch_and_add(&use->head, -LIVE_ONE);
				return DROP_FLOW_STATION_RATE;
			}
			*state |= FLOW_STATION | (way & 1 ? FLOW_STATION_WAY : 0);
			return PASS;
		}
	}
	return DROP_FLOW_STATION_QUOTA; /* others were faster three times; the next packet tries again */
}

INLINE void station_leave(const struct ends *e, __u8 state)
{
	struct station_place at;
	struct station_set *set;
	__u32 number;

	if (!(state & FLOW_STATION))
		return;
	station_place_of(e, state & FLOW_FROM_B, &at);
	number = at.set & station_mask;
	set = bpf_map_lookup_elem(&station_uses, &number);
	if (set)
		__sync_fetch_and_add(&set->way[state & FLOW_STATION_WAY ? 1 : 0].head, -LIVE_ONE);
}

INLINE __u32 opener_segment(const struct ends *e, __u32 from_b)
{
	return e->tag >> (from_b ? SEGMENT_BITS : 0) & SEGMENT_MASK;
}

/* Takes a place in all that a new flow counts against, the station before its segment before all: who has used up his own
 * takes nothing from the others. Returns the reason in the low byte, PASS or not, and above it what the flow's line has to
 * remember. */
__attribute__((noinline)) __u32 quota_enter(const struct ends *e, const struct limits *limits, __u32 from_b)
{
	struct flow_use *all = flow_use();
	struct segment_use *use;
	__u8 state = from_b ? FLOW_FROM_B : 0;
	__u32 number;
	int reason;

	if (!e || !limits || !all)
		return DROP_FLOW_SEGMENT_QUOTA;
	number = opener_segment(e, from_b);
	use = bpf_map_lookup_elem(&segment_uses, &number);
	if (!use)
		return DROP_FLOW_SEGMENT_QUOTA;
	if (limits->station_flows || limits->station_rate) {
		reason = station_enter(e, from_b, limits, &state);
		if (reason)
			return reason;
	}
	reason = DROP_FLOW_SEGMENT_QUOTA;
	if (__sync_fetch_and_add(&use->live, 1) < limits->flows) {
		reason = DROP_FLOW_SEGMENT_RATE;
		if (take_rate(&use->rate_until, limits->rate, ticks() * (SECOND / hz))) {
			if (__sync_fetch_and_add(&all->live, 1) < flow_capacity)
				return PASS | state << 8;
			__sync_fetch_and_sub(&all->live, 1);
			reason = DROP_FLOW_TABLE_FULL;
		}
	}
	__sync_fetch_and_sub(&use->live, 1);
	station_leave(e, state);
	return reason;
}

/* Gives back what quota_enter took. */
INLINE void quota_leave(const struct ends *e, __u8 state)
{
	__u32 number = opener_segment(e, state & FLOW_FROM_B);
	struct segment_use *use = bpf_map_lookup_elem(&segment_uses, &number);
	struct flow_use *all = flow_use();

	if (use)
		__sync_fetch_and_sub(&use->live, 1);
	if (all)
		__sync_fetch_and_sub(&all->live, 1);
	station_leave(e, state);
}

#endif
