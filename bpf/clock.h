/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 6, second half: time. The rule of a cell says from which minute until which it is in force, and perhaps only in a
 * window of each week; so a record ends to the minute while every daemon is dead.
 */
#ifndef SEKISHO_CLOCK_H
#define SEKISHO_CLOCK_H

#include "image.h"

/* What the kernel does not know about the time. floor is a minute that has been: a clock that stands before it was set back,
 * or lost power, and then nothing that depends on time passes. 0: never set, which closes the same.
 * tai_minus_utc goes wrong by as much as somebody steps the kernel's leap seconds while the loader is dead; seconds. */
struct clock {
	__s64 tai_minus_utc; /* ns */
	__u32 floor;         /* minutes since 1970 UTC */
	__u32 spare;
};

/* The loader writes it at start and whenever a minute has passed; programs read it. The two fields are good in any
 * combination, so a reader between their writes sees nothing wrong. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct clock);
	__uint(map_flags, BPF_F_RDONLY_PROG);
} wall_clock SEC(".maps");

#define NS_A_MINUTE 60000000000ULL
#define WEEK (7 * 24 * 60)
#define MONDAY (3 * 24 * 60) /* the minute 0 of 1970 lies so far behind a Monday's */

/* Is this minute in a window? Without branches, so that the verifier walks it once. */
INLINE int in_window(const struct tables *t, __u8 number, __u32 minute)
{
	struct window *w = window_of(t, number);
	__u32 of_week = (minute + MONDAY) % WEEK;
	int in = 0, i;

	if (!w)
		return 0;
#pragma unroll
	for (i = 0; i < WINDOW_SPANS; i++)
		in |= of_week - w->spans[i].from < (__u32)(w->spans[i].to - w->spans[i].from);
	return in;
}

#define TIME_FOREVER (~0ULL >> 8)

/* The reason not to pass by a rule in the low 8 bits, above it the nanoseconds for which that stands at least. A function of
 * its own, as place_of is and for the same reasons. */
__attribute__((noinline)) __u64 time_of_rule(__u32 epoch, __u32 number)
{
	__u64 left = TIME_FOREVER, now;
	__u32 zero = 0, minute = 0;
	const struct clock *c;
	struct tables t;
	struct rule *r;
	int i;

	if (tables_of(&t, epoch))
		return DROP_RECORD_TIME;
	for (i = 0; i < RULE_CHAIN; i++) {
		r = rule_of(&t, number);
		if (!r)
			return DROP_RECORD_TIME;
		if (!(r->from | r->until | r->window))
			return left << 8 | PASS;
		if (!minute) {
			c = bpf_map_lookup_elem(&wall_clock, &zero);
			if (!c)
				return DROP_CLOCK_BEHIND;
			now = bpf_ktime_get_tai_ns() - c->tai_minus_utc;
			minute = now / NS_A_MINUTE;
			left = NS_A_MINUTE - now % NS_A_MINUTE;
			if (!c->floor || minute < c->floor)
				return left << 8 | DROP_CLOCK_BEHIND;
		}
		if (minute >= r->from && (!r->until || minute < r->until) &&
		    (!r->window || in_window(&t, r->window, minute)))
			return left << 8 | PASS;
		number = r->next;
		if (!number)
			break;
	}
	return left << 8 | DROP_RECORD_TIME;
}

/* PASS when a rule, or one of those that are asked after it, is in force. left: nanoseconds for which the answer stands at
 * least; no answer changes within a minute. */
INLINE int rule_in_force(const struct tables *t, __u32 number, __u64 *left)
{
	__u64 v = time_of_rule(t->epoch, number);

	*left = v >> 8;
	return v & 0xff;
}

#endif
