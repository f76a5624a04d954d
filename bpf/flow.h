/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 5: flow. What the policy allowed once is remembered for both directions; a remembered flow permits exactly what the
 * policy of the same epoch would permit to its initiator, and the answers. Created only after an allow, by the initiator.
 * The table is preallocated and never evicts: full means that new flows are refused. So that nobody fills it for all, the
 * initiators of one segment share a quota.
 *
 * A flow of an older epoch asks the policy again, as its initiator. A flow that was idle for too long counts as none, also
 * when nobody has removed it yet: expiry does not wait for the walk of collect.h.
 */
#ifndef SEKISHO_FLOW_H
#define SEKISHO_FLOW_H

#include "policy.h"

/* Both directions of a flow share one entry. Programs insert and update in place; collect.h removes what is over. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

/* How many flows the initiators of each segment hold. Programs add; each walk of collect.h counts anew and heals what was
 * missed, so that a walk's worth of new flows is the most that a segment may be over its quota. */
struct tally {
	__u32 live[MAX_SEGMENTS];
	__u32 counting[MAX_SEGMENTS]; /* the walk's own */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tally);
} segment_flows SEC(".maps");

/* Flows that the initiators of one segment may hold. The loader sets it; 0 would let nobody open. */
const volatile __u32 segment_quota = 0;

INLINE struct tally *tally(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&segment_flows, &zero);
}

#define SECOND 1000000000ULL
#define TIMEOUT_TCP (7200 * SECOND)
#define TIMEOUT_TCP_OPENING (30 * SECOND)
#define TIMEOUT_TCP_CLOSED (10 * SECOND)
#define TIMEOUT_UDP (180 * SECOND)
#define TIMEOUT_UDP_OPENING (30 * SECOND)
#define TIMEOUT_ICMP (30 * SECOND)
#define TIMEOUT_OTHER (600 * SECOND)

/* Who speaks to whom, and what the policy says. */
struct decision {
	__u32 src_class;
	__u32 dst_class;
	__u32 src_segment;
	__u32 dst_segment;
	__u32 rule;
	__u8 bwclass;
	__u8 opened;
};

INLINE __u64 flow_timeout(const struct flow *f, __u8 proto)
{
	if (proto == PROTO_TCP) {
		if (f->state & FLOW_RST || (f->state & (FLOW_FIN_A | FLOW_FIN_B)) == (FLOW_FIN_A | FLOW_FIN_B))
			return TIMEOUT_TCP_CLOSED;
		return f->state & FLOW_ANSWERED ? TIMEOUT_TCP : TIMEOUT_TCP_OPENING;
	}
	if (proto == PROTO_UDP)
		return f->state & FLOW_ANSWERED ? TIMEOUT_UDP : TIMEOUT_UDP_OPENING;
	if (proto == PROTO_ICMP || proto == PROTO_ICMP6)
		return TIMEOUT_ICMP;
	return TIMEOUT_OTHER;
}

/* last may be ahead of now: another CPU wrote it since. */
INLINE int flow_over(const struct flow *f, __u8 proto, __u64 now)
{
	return (__s64)(now - f->last) > (__s64)flow_timeout(f, proto);
}

INLINE int is_request(const struct packet *p)
{
	return p->type == (p->proto == PROTO_ICMP ? ICMP_REQUEST : ICMP6_REQUEST);
}

INLINE int is_reply(const struct packet *p)
{
	return p->type == (p->proto == PROTO_ICMP ? ICMP_REPLY : ICMP6_REPLY);
}

INLINE int is_icmp(const struct packet *p)
{
	return p->proto == PROTO_ICMP || p->proto == PROTO_ICMP6;
}

/* Is the source the A end? Ends are ordered by segment, address, port. */
INLINE int source_is_a(const struct packet *p, const struct decision *d)
{
	int i;

	if (d->src_segment != d->dst_segment)
		return d->src_segment < d->dst_segment;
#pragma unroll
	for (i = 0; i < 4; i++) {
		if (p->src.w[i] != p->dst.w[i])
			return bpf_ntohl(p->src.w[i]) < bpf_ntohl(p->dst.w[i]);
	}
	return p->sport <= p->dport;
}

/* Returns the direction: 0 when A sends, 1 when B sends. */
INLINE int flow_key_of(const struct packet *p, const struct decision *d, struct flow_key *k)
{
	int by_b = !source_is_a(p, d);

	k->a = by_b ? p->dst : p->src;
	k->b = by_b ? p->src : p->dst;
	k->segment_a = by_b ? d->dst_segment : d->src_segment;
	k->segment_b = by_b ? d->src_segment : d->dst_segment;
	k->port_a = by_b ? p->dport : p->sport;
	k->port_b = by_b ? p->sport : p->dport;
	k->proto = p->proto;
	if (is_icmp(p))
		k->asker = is_request(p) ? 1 + by_b : 2 - by_b;
	return by_b;
}

INLINE int is_opening(const struct packet *p)
{
	return (p->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* Books one packet of a permitted flow. */
INLINE void flow_touch(struct flow *f, const struct packet *p, int by_b, __u64 now)
{
	f->last = now;
	f->packets[by_b & 1]++;
	f->bytes[by_b & 1] += p->length;
	if (by_b != f->from_b)
		f->state |= FLOW_ANSWERED;
	if (p->proto != PROTO_TCP)
		return;
	if (is_opening(p))
		f->state = 0; /* the initiator reuses its ports */
	if (p->tcp_flags & TCP_FIN)
		f->state |= by_b ? FLOW_FIN_B : FLOW_FIN_A;
	if (p->tcp_flags & TCP_RST)
		f->state |= FLOW_RST;
}

/* Writes a flow that the policy has just allowed its initiator. */
INLINE void flow_begin(struct flow *f, const struct tables *t, const struct packet *p, const struct decision *d,
		       __u16 port, int by_b, __u64 now)
{
	__builtin_memset(f, 0, sizeof(*f));
	f->last = now;
	f->packets[by_b & 1] = 1;
	f->bytes[by_b & 1] = p->length;
	f->epoch = t->epoch;
	f->rule = d->rule;
	f->bwclass = d->bwclass;
	f->port = port;
	f->from_b = by_b;
	f->version = FLOW_VERSION;
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

/* The live flow of a key, or null. It looks and never changes anything: for who must know of a flow without being a packet
 * of it (quote.h). Whatever table holds the flows, this is the only way to ask for one by its key. */
INLINE const struct flow *flow_find(const struct flow_key *key, __u64 now)
{
	const struct flow *f = bpf_map_lookup_elem(&flows, key);

	return f && !flow_over(f, key->proto, now) ? f : 0;
}

/* The cell by which the present tables let a flow's initiator open it. d: classes of a packet that by_b tells the sender of. */
INLINE struct cell *flow_cell(const struct flow *f, const struct tables *t, const struct decision *d, __u8 proto,
			      int by_b)
{
	return by_b != f->from_b ? policy(t, d->dst_class, d->src_class, proto, f->port)
				 : policy(t, d->src_class, d->dst_class, proto, f->port);
}

/* Do the present tables still permit a flow? Fills d's rule and bandwidth class; the flow stays as it is. */
INLINE int flow_permitted(const struct flow *f, const struct tables *t, struct decision *d, __u8 proto, int by_b)
{
	struct cell *cell;

	d->rule = f->rule;
	d->bwclass = f->bwclass;
	if (f->epoch == t->epoch)
		return 1;
	cell = flow_cell(f, t, d, proto, by_b);
	if (!cell)
		return 0;
	d->rule = cell->rule;
	d->bwclass = cell->bwclass;
	return 1;
}

/* A flow that is known: may this packet use it? */
INLINE int flow_known(struct flow *f, const struct tables *t, const struct packet *p, struct decision *d, int by_b,
		      __u64 now)
{
	int answering = by_b != f->from_b;

	if (f->epoch != t->epoch) {
		struct cell *cell = flow_cell(f, t, d, p->proto, by_b);

		if (!cell)
			return no_cell(t, d);
		f->rule = cell->rule;
		f->bwclass = cell->bwclass;
		f->epoch = t->epoch;
	}
	if (answering && p->proto == PROTO_TCP && is_opening(p))
		return DROP_FLOW_DIRECTION;
	d->rule = f->rule;
	d->bwclass = f->bwclass;
	flow_touch(f, p, by_b, now);
	return PASS;
}

INLINE __u32 initiator_segment(const struct flow_key *key, const struct flow *f)
{
	return (f->from_b ? key->segment_b : key->segment_a) & (MAX_SEGMENTS - 1);
}

/* Enters a flow that the policy has just allowed. stale: an entry of the same key that is over, or null. */
INLINE int flow_enter(const struct flow_key *key, const struct flow *fresh, const struct flow *stale)
{
	__u32 segment = initiator_segment(key, fresh);
	__u32 former = stale ? initiator_segment(key, stale) : 0;
	struct tally *n = tally();
	long error;

	if (!n || (former != segment && n->live[segment] >= segment_quota))
		return DROP_FLOW_SEGMENT_QUOTA;
	error = bpf_map_update_elem(&flows, key, fresh, BPF_ANY);
	if (error == -7 /* E2BIG */)
		return DROP_FLOW_TABLE_FULL;
	if (error)
		return DROP_FLOW_TABLE_BUSY;
	if (former != segment) {
		__sync_fetch_and_add(&n->live[segment], 1);
		if (former && n->live[former])
			__sync_fetch_and_sub(&n->live[former], 1);
	}
	return PASS;
}

/* Steps 5 and 6 together: a live flow, or the policy and then a new flow. */
INLINE int admit(const struct tables *t, const struct packet *p, struct decision *d)
{
	struct flow_key key = {};
	struct flow *f, fresh;
	struct cell *cell;
	__u64 now = bpf_ktime_get_coarse_ns();
	__u16 port = p->dport;
	int by_b;

	if (is_icmp(p)) {
		if (!is_request(p) && !is_reply(p))
			return DROP_ICMP_TYPE;
		port = p->type;
	}
	by_b = flow_key_of(p, d, &key);
	f = bpf_map_lookup_elem(&flows, &key);
	if (f && !flow_over(f, p->proto, now))
		return flow_known(f, t, p, d, by_b, now);
	if (is_icmp(p) && !is_request(p))
		return DROP_ICMP_NO_FLOW;
	cell = policy(t, d->src_class, d->dst_class, p->proto, port);
	if (!cell)
		return no_cell(t, d);
	if (p->proto == PROTO_TCP && !is_opening(p))
		return DROP_TCP_NOT_SYN;
	d->rule = cell->rule;
	d->bwclass = cell->bwclass;
	d->opened = 1;
	flow_begin(&fresh, t, p, d, port, by_b, now);
	return flow_enter(&key, &fresh, f);
}

#endif
