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

/* Removes the entry when its flow is over. */
static long collect_one(void *map, struct flow_key *key, struct flow *f, __u64 *now)
{
	if (flow_over(f, key->proto, *now))
		bpf_map_delete_elem(map, key);
	return 0;
}

#define UNUSED __attribute__((unused))

static int collect(void *map UNUSED, __u32 *key UNUSED, struct collector *c)
{
	__u64 now = bpf_ktime_get_ns(), pause;

	bpf_for_each_map_elem(&flows, collect_one, &now, 0);
	pause = (bpf_ktime_get_ns() - now) * COLLECT_SHARE;
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
