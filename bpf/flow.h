/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 5: flow. What the policy allowed once is remembered for both directions; a remembered flow permits exactly what the
 * policy of the same epoch would permit to its initiator, and the answers. Created only after an allow, by the initiator,
 * within the quotas of quota.h. The table never evicts: full means that new flows are refused.
 *
 * A flow of an older epoch asks the policy again, as its initiator. A flow that was idle for too long counts as none, also
 * when nobody has removed it yet: expiry does not wait for the walk of collect.h.
 *
 * Packets and bytes are counted in the line and booked on the rule when the line is given back. A flow that another policy
 * permits by another rule takes its count along: what it carried is booked on the record that permitted it last. Before the
 * counters of a line run over, collect.h books a quarter of what they hold and notes that in the line; the counters themselves
 * only ever grow, so nobody who counts is in the way of who books.
 */
#ifndef SEKISHO_FLOW_H
#define SEKISHO_FLOW_H

#include "event.h"
#include "former.h"
#include "line.h"
#include "clock.h"
#include "policy.h"
#include "quota.h"

/* Idle times after which a flow is over. */
#define TIMEOUT_TCP (7200 * hz)
#define TIMEOUT_TCP_OPENING (30 * hz)
#define TIMEOUT_TCP_CLOSED (10 * hz)
#define TIMEOUT_UDP (180 * hz)
#define TIMEOUT_UDP_OPENING (30 * hz)
#define TIMEOUT_ICMP (30 * hz)
#define TIMEOUT_OTHER (600 * hz)

/* How long the fast path believes a line whose rule depends on time: the wall clock may be set. Without such a rule nothing
 * about a flow changes within one image; a minute bounds how long a line can be wrong that two CPUs wrote at once. */
#define RECHECK hz
#define RECHECK_TIMELESS (60 * hz)

/* The fast path takes packets of flows that were idle for less: no flow is over by then. */
#define IDLE_TRUST (8 * hz)

/* Who speaks to whom, and what the policy says. */
struct decision {
	__u32 src_class;
	__u32 dst_class;
	__u32 src_segment;
	__u32 dst_segment;
	__u32 rule;
	__u32 recheck_at;  /* ticks: when the rule must be asked again */
	struct line *line; /* of the flow, once it is admitted, */
	__u32 claim;       /* and what it was claimed with */
	struct binding *dst;
	__u16 way; /* of a flow that is to be opened: number of the adjacency, when it is known */
	__u8 bwclass;
	__u8 opened;
	__u8 by_b; /* direction in the line */
};

/* Leaves what is known of the packet's way for whoever observes. */
INLINE void note(struct packet *p, const struct tables *t, const struct decision *d)
{
	p->rule = d->rule;
	p->epoch = t->epoch;
	p->to = d->dst_segment;
}

INLINE __u32 flow_timeout(const struct line *l)
{
	__u8 proto = l->tag >> TAG_PROTO;

	if (proto == PROTO_TCP) {
		if (l->state & FLOW_RST || (l->state & (FLOW_FIN_A | FLOW_FIN_B)) == (FLOW_FIN_A | FLOW_FIN_B))
			return TIMEOUT_TCP_CLOSED;
		return l->state & FLOW_ANSWERED ? TIMEOUT_TCP : TIMEOUT_TCP_OPENING;
	}
	if (proto == PROTO_UDP)
		return l->state & FLOW_ANSWERED ? TIMEOUT_UDP : TIMEOUT_UDP_OPENING;
	if (proto == PROTO_ICMP || proto == PROTO_ICMP6)
		return TIMEOUT_ICMP;
	return TIMEOUT_OTHER;
}

/* Ticks are compared by difference: right as long as no line is left alone for 2^31 of them, 24 days at 1000 a second, and
 * the walk of collect.h comes by every few seconds. last may be ahead of now: another CPU wrote it since. */
INLINE int flow_over(const struct line *l, __u32 now)
{
	return (__s32)(now - l->last) > (__s32)flow_timeout(l);
}

INLINE int is_opening(const struct packet *p)
{
	return (p->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* Counts one packet of an admitted flow, once it is known that it goes its way. */
INLINE void flow_count(const struct decision *d, __u32 bytes)
{
	struct line *l = d->line;
	__u32 by_b = d->by_b & 1, before;

	if (!l)
		return;
	before = l->bytes_low[by_b];
	l->packets[by_b]++;
	l->bytes_low[by_b] = before + bytes;
	if (before + bytes < before)
		l->bytes_high[by_b]++;
}

#define PACKETS_QUARTER (1ULL << 30)
#define BYTES_QUARTER (1ULL << 46)
#define BOOKED_BYTES 4 /* bits of booked in front of those of the bytes */

/* What the line has counted of one direction and nobody has booked. */
INLINE __u32 line_packets(const struct line *l, __u32 by_b)
{
	return l->packets[by_b] - (l->booked >> 2 * by_b & 3) * PACKETS_QUARTER;
}

INLINE __u64 line_bytes(const struct line *l, __u32 by_b)
{
	__u64 all = (__u64)l->bytes_high[by_b] << 32 | l->bytes_low[by_b];

	return (all - (l->booked >> (BOOKED_BYTES + 2 * by_b) & 3) * BYTES_QUARTER) & (4 * BYTES_QUARTER - 1);
}

/* Books of one direction of a flow, on its two segments and on its rule. Numbers of rules belong to one epoch: what an older
 * one permitted, and this one did not again, is booked on no rule. */
INLINE void book(__u32 epoch, const struct line *l, __u32 by_b, __u64 packets, __u64 bytes)
{
	__u16 a = l->tag & SEGMENT_MASK, b = l->tag >> SEGMENT_BITS & SEGMENT_MASK;

	if (!(packets | bytes))
		return;
	book_pair(by_b ? b : a, by_b ? a : b, packets, bytes);
	if (l->epoch == epoch)
		rule_used(epoch, l->rule, packets, bytes);
}

/* Is there a quarter of some counter to book? */
INLINE int much_counted(const struct line *l)
{
	return line_packets(l, 0) >= PACKETS_QUARTER || line_packets(l, 1) >= PACKETS_QUARTER ||
	       line_bytes(l, 0) >= BYTES_QUARTER || line_bytes(l, 1) >= BYTES_QUARTER;
}

/* Books such quarters of a live flow. Only the timer's walk calls it, every few seconds: a flow that is not over then cannot be
 * retired meanwhile, as it would have to be idle for longer than that with a quarter not booked. The line says first that they
 * are booked: who reads counters and lines in this order may miss them for a moment, and never sees them twice. */
__attribute__((noinline)) int book_quarters(const struct ends *e, __u64 place, __u32 epoch)
{
	struct line *l;
	__u32 i;

	if (!e)
		return 0;
	l = line_at(place, e);
	if (!l)
		return 0;
#pragma clang loop unroll(disable)
	for (i = 0; i < 2; i++) {
		__u64 packets = line_packets(l, i & 1) >= PACKETS_QUARTER ? PACKETS_QUARTER : 0;
		__u64 bytes = line_bytes(l, i & 1) >= BYTES_QUARTER ? BYTES_QUARTER : 0;
		__u32 p = 2 * i, b = BOOKED_BYTES + 2 * i, booked = l->booked;

		if (packets)
			booked = (booked & ~(3u << p)) | ((booked + (1u << p)) & 3u << p);
		if (bytes)
			booked = (booked & ~(3u << b)) | ((booked + (1u << b)) & 3u << b);
		*(volatile __u8 *)&l->booked = booked;
		book(epoch, l, i & 1, packets, bytes);
	}
	return 0;
}

/* Ends a flow: counts are booked, quotas given back, the line is free. */
__attribute__((noinline)) int retire(const struct ends *e, __u64 place, __u32 epoch)
{
	struct line *l;

	if (!e)
		return 0;
	l = line_at(place, e);
	if (!l || !line_hide(l, e))
		return 0;
	book(epoch, l, 0, line_packets(l, 0), line_bytes(l, 0));
	book(epoch, l, 1, line_packets(l, 1), line_bytes(l, 1));
	quota_leave(e, l->state);
	line_free(l, place, e);
	return 0;
}

INLINE __u8 zones_of(const struct tables *t, __u32 tag)
{
	struct segment *a = segment_of(t, tag & SEGMENT_MASK), *b = segment_of(t, tag >> SEGMENT_BITS & SEGMENT_MASK);

	return (a ? a->zone & 15 : 0) | (b ? b->zone << 4 : 0);
}

/* When a line must be asked again: after a second, or at the minute at which its rule may change. */
INLINE __u32 recheck(__u32 now, __u64 left)
{
	if (left == TIME_FOREVER)
		return now + RECHECK_TIMELESS;
	return now + (left < SECOND ? left / (SECOND / hz) : RECHECK);
}

/* May the fast path believe a line that the tables in force permit? last may be ahead of now: another CPU wrote it since. */
INLINE int line_fresh(const struct line *l, __u32 now)
{
	return (__s32)(now - l->recheck_at) < 0 && (__s32)(now - l->last) < (__s32)IDLE_TRUST;
}

/* What the policy of this epoch says of the flow. */
INLINE void line_permit(struct line *l, const struct tables *t, const struct cell *cell, __u32 recheck_at)
{
	l->rule = cell->rule;
	l->bwclass = cell->bwclass;
	l->zones = zones_of(t, l->tag);
	l->adjacency[0] = 0;
	l->adjacency[1] = 0;
	l->recheck_at = recheck_at;
	l->epoch = t->epoch;
}

INLINE void line_count_anew(struct line *l)
{
	__builtin_memset(l->packets, 0, sizeof(l->packets) + sizeof(l->bytes_low) + sizeof(l->bytes_high));
	l->booked = 0;
}

/* Enters a flow that the policy has just allowed its initiator. PASS or a reason. */
INLINE int flow_enter(const struct tables *t, const struct ends *e, const struct cell *cell, struct decision *d,
		      int picked_up)
{
	struct limits limits = {};
	__u32 now = ticks(), entered;
	struct line *l;
	int reason = limits_of(t, d->src_segment, &limits);

	if (reason)
		return reason;
	entered = quota_enter(e, &limits, e->by_b);
	if (entered & 0xff)
		return entered & 0xff;
	l = line_at(claim(e), e);
	if (!l) {
		quota_leave(e, entered >> 8);
		return DROP_FLOW_TABLE_FULL;
	}
	l->tag = e->tag;
	l->a = e->a[3];
	l->b = e->b[3];
	l->ports = e->ports;
	l->state = (l->state & FLOW_OUTSIDE) | entered >> 8;
	line_count_anew(l);
	line_permit(l, t, cell, d->recheck_at);
	l->adjacency[!(d->by_b & 1)] = d->way;
	l->last = now;
	if (picked_up)
		l->state |= FLOW_ANSWERED; /* established, as far as one can know */
	line_show(l);
	d->line = l;
	d->opened = 1;
	return PASS;
}

/* Why there is no cell. Zones that no record may ever join have a reason of their own: that is an incident, not a form that
 * somebody forgot. */
INLINE int no_cell(const struct tables *t, const struct decision *d)
{
	struct segment *from = segment_of(t, d->src_segment), *to = segment_of(t, d->dst_segment);

	if (!from || !to || from->zone == to->zone)
		return DROP_NO_CELL;
	if (from->zone >= ZONE_MANAGEMENT || to->zone >= ZONE_MANAGEMENT)
		return DROP_ZONE_PAIR;
	if (from->zone + to->zone == ZONE_MY_NUMBER + ZONE_INTERNET)
		return DROP_ZONE_PAIR;
	return DROP_NO_CELL;
}

/* Moves a flow of these ends from the former table into a line, as it was there; null: there is none, or no room. */
INLINE struct line *flow_move(const struct tables *t, const struct ends *e)
{
	struct limits limits = {};
	__u64 found = former_take(e);
	__u32 entered, from_b = !!(found & FLOW_FROM_B);
	__u64 place;
	struct line *l;

	if (!found || limits_of(t, opener_segment(e, from_b), &limits))
		return 0;
	entered = quota_enter(e, &limits, from_b);
	if (entered & 0xff)
		return 0;
	place = claim(e);
	l = line_at(place, e);
	if (!l) {
		quota_leave(e, entered >> 8);
		return 0;
	}
	l->tag = e->tag;
	l->a = e->a[3];
	l->b = e->b[3];
	l->ports = e->ports;
	l->state = (l->state & FLOW_OUTSIDE) | entered >> 8 | (found & FORMER_STATES);
	line_count_anew(l);
	l->epoch = 0; /* the present tables have not been asked */
	l->rule = 0;
	l->last = ticks() - (__u32)(found >> 8 & 0xffffff) * hz;
	if (flow_over(l, ticks())) {
		quota_leave(e, l->state);
		line_free(l, place, e);
		return 0;
	}
	line_show(l);
	return l;
}

/* Notes in the line what a packet of a permitted flow tells. */
INLINE void flow_touch(struct line *l, const struct packet *p, __u32 by_b)
{
	__u8 state = l->state;

	if (by_b != !!(state & FLOW_FROM_B))
		state |= FLOW_ANSWERED;
	if (p->proto == PROTO_TCP) {
		if (is_opening(p))
			state &= FLOW_FOR_LIFE; /* the initiator reuses its ports */
		if (p->tcp_flags & TCP_FIN)
			state |= by_b ? FLOW_FIN_B : FLOW_FIN_A;
		if (p->tcp_flags & TCP_RST)
			state |= FLOW_RST;
	}
	if (state != l->state)
		l->state = state;
}

/* The port for which the policy let the flow open: the other end's, or an echo request's type. */
INLINE __u16 asked_port(const struct line *l, __u8 proto)
{
	if (proto == PROTO_ICMP)
		return ICMP_REQUEST;
	if (proto == PROTO_ICMP6)
		return ICMP6_REQUEST;
	return l->ports >> (l->state & FLOW_FROM_B ? 0 : 16);
}

INLINE int is_answer(const struct line *l, __u32 by_b)
{
	return by_b != !!(l->state & FLOW_FROM_B);
}

/* The live line of a packet's flow, or null. It looks and never changes anything: for who must know of a flow without being
 * a packet of it (quote.h). d: the packet's segments. */
INLINE const struct line *flow_find(const struct packet *p, struct decision *d)
{
	struct ends e = {};
	struct line *l;

	ends_of(p, d->src_segment, &e);
	ends_complete(&e, d->dst_segment);
	d->by_b = e.by_b;
	l = line_at(find(&e), &e);
	return l && !flow_over(l, ticks()) ? l : 0;
}

/* The cell by which the present tables let a flow's initiator open it. d: classes of a packet of the flow. */
INLINE struct cell *flow_cell(const struct line *l, const struct tables *t, const struct decision *d, __u8 proto)
{
	int answer = is_answer(l, d->by_b);

	return policy(t, answer ? d->dst_class : d->src_class, answer ? d->src_class : d->dst_class, proto,
		      asked_port(l, proto));
}

/* Do the present tables still permit a flow? Fills d's rule and bandwidth class; the flow stays as it is. */
INLINE int flow_permitted(const struct line *l, const struct tables *t, struct decision *d, __u8 proto)
{
	struct cell *cell;

	d->rule = l->rule;
	d->bwclass = l->bwclass;
	if (l->epoch == t->epoch)
		return 1;
	cell = flow_cell(l, t, d, proto);
	if (!cell)
		return 0;
	d->rule = cell->rule;
	d->bwclass = cell->bwclass;
	return 1;
}

/* A flow that is known: may this packet use it? */
INLINE int flow_known(struct line *l, const struct tables *t, const struct packet *p, struct decision *d, __u32 now)
{
	__u32 claim = *(volatile __u32 *)&l->claim;
	__u64 left;

	if (l->epoch != t->epoch || (__s32)(now - l->recheck_at) >= 0) {
		struct cell *cell = flow_cell(l, t, d, p->proto);
		int reason;

		if (!cell)
			return no_cell(t, d);
		/* The rule is looked at as well: two CPUs with two images may have written one each. */
		if (l->epoch != t->epoch || l->rule != cell->rule || l->bwclass != cell->bwclass)
			line_permit(l, t, cell, now);
		reason = rule_in_force(t, cell->rule, &left);
		if (reason)
			return reason;
		l->recheck_at = recheck(now, left);
	}
	if (is_answer(l, d->by_b) && p->proto == PROTO_TCP && is_opening(p))
		return DROP_FLOW_DIRECTION;
	d->rule = l->rule;
	d->bwclass = l->bwclass;
	l->last = now;
	flow_touch(l, p, d->by_b);
	d->line = l;
	d->claim = claim;
	return PASS;
}

/* For a configured time after a start or a failover, connections that others have let open may go on: by any segment that is
 * not of their beginning or end, from the side that a cell names initiator. Set by the loader: CLOCK_MONOTONIC, ns. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(map_flags, BPF_F_RDONLY_PROG);
} pickup_until SEC(".maps");

INLINE int may_pick_up(const struct packet *p)
{
	__u32 zero = 0;
	__u64 *until = bpf_map_lookup_elem(&pickup_until, &zero);

	return until && *until && !(p->tcp_flags & (TCP_SYN | TCP_RST | TCP_FIN)) && p->tcp_flags & TCP_ACK &&
	       bpf_ktime_get_coarse_ns() < *until;
}

/* Steps 5 and 6 together: a live flow, or the policy and then a new flow. */
INLINE int admit(const struct tables *t, const struct packet *p, struct decision *d)
{
	struct ends e = {};
	struct line *l;
	struct cell *cell;
	__u32 now = ticks();
	__u16 port = p->dport;
	__u64 place, left;
	int reason;

	if (is_icmp(p)) {
		if (!is_request(p) && !is_reply(p))
			return DROP_ICMP_TYPE;
		port = p->type;
	}
	ends_of(p, d->src_segment, &e);
	ends_complete(&e, d->dst_segment);
	d->by_b = e.by_b;
	place = find(&e);
	l = line_at(place, &e);
	if (!l && former_until)
		l = flow_move(t, &e);
	if (l && !flow_over(l, now))
		return flow_known(l, t, p, d, now);
	if (is_icmp(p) && !is_request(p))
		return DROP_ICMP_NO_FLOW;
	cell = policy(t, d->src_class, d->dst_class, p->proto, port);
	if (!cell)
		return no_cell(t, d);
	reason = rule_in_force(t, cell->rule, &left);
	if (reason)
		return reason;
	if (p->proto == PROTO_TCP && !is_opening(p) && !may_pick_up(p))
		return DROP_TCP_NOT_SYN;
	if (l)
		retire(&e, place, t->epoch);
	d->rule = cell->rule;
	d->bwclass = cell->bwclass;
	d->recheck_at = recheck(now, left);
	return flow_enter(t, &e, cell, d, p->proto == PROTO_TCP && !is_opening(p));
}

#endif
