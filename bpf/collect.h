/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Removing flows that are over, by the kernel itself. A timer in a pinned map walks the table, so that new flows find room
 * while every daemon is dead; it lives as long as the pin. The loader runs begin_collecting at each start, and the callback
 * of its programs takes the place of the former one.
 *
 * A walk visits each entry once: its length is bounded by the size of the table, its share of a CPU by COLLECT_SHARE.
 */
#ifndef SEKISHO_COLLECT_H
#define SEKISHO_COLLECT_H

#include "flow.h"

#define COLLECT_EVERY SECOND
#define COLLECT_SHARE 50 /* one part of so many of a CPU's time, at most */

struct collector {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct collector);
} collector SEC(".maps");

struct walk {
	__u64 now;
	struct tally *tally;
};

/* Removes the entry when its flow is over, else counts it. */
static long collect_one(void *map, struct flow_key *key, struct flow *f, struct walk *w)
{
	if (flow_over(f, key->proto, w->now))
		bpf_map_delete_elem(map, key);
	else
		w->tally->counting[initiator_segment(key, f)]++;
	return 0;
}

/* Makes the walk's numbers those that count, and begins at zero. */
INLINE void publish(struct tally *n)
{
	__u32 i;

	for (i = 0; i < MAX_SEGMENTS; i++)
		n->live[i] = __sync_lock_test_and_set(&n->counting[i], 0);
}

#define UNUSED __attribute__((unused))

static int collect(void *map UNUSED, __u32 *key UNUSED, struct collector *c)
{
	struct walk w = {.now = bpf_ktime_get_ns(), .tally = tally()};
	__u64 pause;

	if (!w.tally)
		return 0;
	bpf_for_each_map_elem(&flows, collect_one, &w, 0);
	publish(w.tally);
	pause = (bpf_ktime_get_ns() - w.now) * COLLECT_SHARE;
	bpf_timer_start(&c->timer, pause > COLLECT_EVERY ? pause : COLLECT_EVERY, 0);
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

#endif
