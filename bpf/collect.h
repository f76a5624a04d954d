/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Removing flows that are over, and booking what long ones have counted, by the kernel itself. A timer in a pinned map walks the lines, so that new flows find room
 * while every daemon is dead; it lives as long as the pin. The loader runs begin_collecting at each start, and the callback
 * of its programs takes the place of the former one.
 *
 * Each time it looks at one slice of the sets and no more: some ten microseconds, every ten milliseconds; once a second also at
 * the packets in fragments, which are few. Packets never
 * wait for it, nor it for packets; a table of a million flows is walked in about three seconds.
 */
#ifndef SEKISHO_COLLECT_H
#define SEKISHO_COLLECT_H

#include "flow.h"
#include "fragment.h"

#define COLLECT_EVERY (SECOND / 100)
#define COLLECT_SETS 1024 /* of IPv4, and half as many of IPv6: they are twice as long */

/* Where the walk stands. Written by the timer alone. */
struct collector {
	struct bpf_timer timer;
	__u32 next4;
	__u32 next6;
	__u32 swept; /* tick of the last walk over the fragments */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct collector);
} collector SEC(".maps");

struct slice {
	__u32 epoch;
	__u32 now;
	__u32 from;
};

INLINE void ends_of_line(const struct line *l, __u32 family, struct ends *e)
{
	e->a[3] = l->a;
	e->b[3] = l->b;
	e->ports = l->ports;
	e->tag = l->tag;
	e->family = family;
}

INLINE void collect_line(const struct slice *s, const struct line *l, const struct ends *e, __u64 place)
{
	if (flow_over(l, s->now))
		retire(e, place, s->epoch);
	else
		book_quarters(e, place, s->epoch);
}

static long collect4(__u32 i, struct slice *s)
{
	__u32 number = (s->from + i) % flow_sets4;
	struct set4 *set = bpf_map_lookup_elem(&flows4, &number);
	int way;

	if (!set)
		return 1;
	for (way = 0; way < WAYS; way++) {
		struct line *l = &set->way[way];
		struct ends e = {};

		if ((__u16)l->claim != CLAIM_LIVE || (!flow_over(l, s->now) && !much_counted(l)))
			continue;
		ends_of_line(l, FAMILY_IP4, &e);
		collect_line(s, l, &e, PLACE4 | (__u64)number << WAY_SHIFT | way);
	}
	return 0;
}

INLINE void collect_line6(struct slice *s, struct line6 *l, __u32 family, __u64 place)
{
	struct ends e = {};

	if ((__u16)l->head.claim != CLAIM_LIVE || (!flow_over(&l->head, s->now) && !much_counted(&l->head)))
		return;
	ends_of_line(&l->head, family, &e);
	__builtin_memcpy(e.a, l->a, 12);
	__builtin_memcpy(e.b, l->b, 12);
	collect_line(s, &l->head, &e, place);
}

static long collect6(__u32 i, struct slice *s)
{
	__u32 number = (s->from + i) % flow_sets6;
	struct set6 *set = bpf_map_lookup_elem(&flows6, &number);
	int way;

	if (!set)
		return 1;
	for (way = 0; way < WAYS; way++)
		collect_line6(s, &set->way[way], FAMILY_IP6, PLACE6 | (__u64)number << WAY_SHIFT | way);
	return 0;
}

#define UNUSED __attribute__((unused))

static long collect_overflow(void *map UNUSED, struct overflow_key *key, struct line6 *l, struct slice *s)
{
	collect_line6(s, l, key->a[0] | key->a[1] | key->a[2] ? FAMILY_IP6 : FAMILY_IP4, PLACE_OVERFLOW);
	return 0;
}

INLINE void collect_slice(struct collector *c)
{
	struct slice s = {.now = ticks(), .from = c->next4};
	struct flow_use *use = flow_use();
	struct tables t;

	if (!tables_now(&t)) /* none: then there is no rule to book on either */
		s.epoch = t.epoch;
	bpf_loop(COLLECT_SETS, collect4, &s, 0);
	c->next4 = (c->next4 + COLLECT_SETS) % flow_sets4;
	if (use && use->overflow && c->next4 < COLLECT_SETS)
		bpf_for_each_map_elem(&flow_overflow, collect_overflow, &s, 0);
	s.from = c->next6;
	bpf_loop(COLLECT_SETS / 2, collect6, &s, 0);
	c->next6 = (c->next6 + COLLECT_SETS / 2) % flow_sets6;
	if (s.now - c->swept >= hz) {
		c->swept = s.now;
		bpf_for_each_map_elem(&fragments, fragments_sweep, &s.now, 0);
	}
}

static int collect(void *map UNUSED, __u32 *key UNUSED, struct collector *c)
{
	collect_slice(c);
	bpf_timer_start(&c->timer, COLLECT_EVERY, 0);
	return 0;
}

/* One slice without the timer, for who cannot wait for it. */
SEC("syscall")
int collect_now(void *context UNUSED)
{
	__u32 zero = 0;
	struct collector *c = bpf_map_lookup_elem(&collector, &zero);

	if (c)
		collect_slice(c);
	return 0;
}

/* Run once by the loader. 0: the timer runs, with these programs' callback. */
SEC("syscall")
int begin_collecting(void *context UNUSED)
{
	__u32 zero = 0;
	struct collector *c = bpf_map_lookup_elem(&collector, &zero);
	long error;

	if (!c)
		return 1;
	error = bpf_timer_init(&c->timer, &collector, 1 /* CLOCK_MONOTONIC */);
	if (error && error != -16 /* EBUSY: it is there already */)
		return error;
	error = bpf_timer_set_callback(&c->timer, collect);
	return error ? error : bpf_timer_start(&c->timer, 0, 0);
}

/* The clock of the lines, for whoever lists them. */
SEC("syscall")
int ticks_now(void *context UNUSED)
{
	return ticks();
}

#endif
