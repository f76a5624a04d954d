/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The fast path: what a packet of a known flow needs, and nothing else. One line says that the present tables permit the
 * flow, in which segment each end is and by which adjacencies it goes there and back. It decides only what the full path
 * would decide in the same way (I8), and leaves everything else to that: a line of another epoch or past its recheck_at, a
 * first answer, TCP segments that change the flow's state, a source MAC that is not that of the adjacency on the packet's
 * own side, fragments, what is too big or lived too long, adjacencies that nobody has asked the kernel about for a second.
 *
 * Worst case of the races in line.h: the fast path has read a line whole before somebody else changes it, and acts on what
 * was true then.
 */
#ifndef SEKISHO_FAST_H
#define SEKISHO_FAST_H

#include "adjacency.h"
#include "forward.h"
#include "isolate.h"

/* Not a reason: the full path decides. */
#define NOT_FAST (-2)

#define TCP_CHANGES (TCP_SYN | TCP_FIN | TCP_RST)

INLINE int may_be_fast(const struct packet *p)
{
	if (p->piece != PIECE_WHOLE || p->ttl <= 1)
		return 0;
	if (p->proto == PROTO_TCP)
		return !(p->tcp_flags & TCP_CHANGES);
	return !is_icmp(p) || is_request(p) || is_reply(p);
}

/* Would the kernel send this packet the same way? Where it has no devices for VLANs, it takes none with a tag either. */
INLINE int stack_reaches(const struct adjacency *to, const struct packet *p)
{
	return to->stack == STACK_VLAN || (to->stack == STACK_PORT && !p->tag);
}

/* PASS with act set, NOT_FAST, or a reason. */
INLINE int fast(struct xdp_md *ctx, void *exits, const struct tables *t, const struct ingress *in, struct packet *p,
		int *act)
{
	struct ends e = {};
	struct adjacency *to, *from;
	struct decision d = {};
	struct line *l;
	__u32 now = ticks(), claim, number, own;
	__u64 place;
	int reason;

	if (!may_be_fast(p))
		return NOT_FAST;
	ends_of(p, in->number, &e);
	place = find_sets(&e);
	l = line_at(place & ~PLACE_OVERFLOW, &e);
	if (!l)
		return NOT_FAST;
	claim = l->claim;
	number = l->adjacency[!e.by_b];
	own = l->adjacency[e.by_b & 1];
	d.rule = l->rule;
	d.bwclass = l->bwclass;
	d.by_b = e.by_b;
	d.line = l;
	if (l->epoch != t->epoch || !line_fresh(l, now) || !line_matches(l, &e))
		return NOT_FAST;
	if ((is_answer(l, e.by_b) && !(l->state & FLOW_ANSWERED)) || zones_cut(l->zones))
		return NOT_FAST;
	p->to = e.by_b ? l->tag & SEGMENT_MASK : l->tag >> SEGMENT_BITS & SEGMENT_MASK;
	e.mask = l->zones;
	if (!line_same(l, claim))
		return NOT_FAST;
	from = adjacency_at(own);
	to = adjacency_at(number);
	if (!from || !to || (from->to ^ mac_word(p->smac, 0)) & MAC_MASK)
		return NOT_FAST;
	if (now - to->refreshed >= ADJACENCY_TRUST || p->l3_length > to->to >> 48 ||
	    !leads_on(in->device, p->family, now))
		return NOT_FAST;
	adjacency_used(from, now);
	adjacency_used(to, now);
	p->rule = d.rule;
	p->epoch = t->epoch;
	l->last = now;
	if (confirm_every && now - to->confirmed >= confirm_every && stack_reaches(to, p)) {
		to->confirmed = now;
		reason = up_the_stack(ctx, p, in->number, d.bwclass);
		if (reason)
			return reason;
		*act = XDP_PASS;
	} else {
		reason = rewrite(ctx, p, to->vlan, to->outer, (__u8 *)&to->to, (__u8 *)&to->from);
		if (reason)
			return reason;
		*act = bpf_redirect_map(exits, to->ifindex, XDP_DROP);
		if (*act != XDP_REDIRECT)
			return DROP_EGRESS_UNGUARDED;
	}
	record(PASS, d.rule, 0);
	passed(e.mask >> (e.by_b ? 4 : 0) & 15, e.mask >> (e.by_b ? 0 : 4) & 15, p->length);
	flow_count(&d, p->length);
	return PASS;
}

/* Tells of a next hop that the kernel's neighbour table gives another MAC than when it was asked last. The event shows the hop
 * as the one who speaks, to the packet's other end. ahead: it is the packet's destination's. A function of its own: it
 * happens rarely. */
__attribute__((noinline)) int hop_moved(const struct packet *p, __u32 ifindex, __u32 segment, int ahead)
{
	__u32 zero = 0;
	struct adjacency *draft = bpf_map_lookup_elem(&adjacency_drafts, &zero);
	struct event *e;

	if (!p || !draft)
		return 0;
	e = noticed(NOTICE_MAC_MOVED, HOOK_XDP, ifindex, segment, p, draft->former);
	if (!e)
		return 0;
	__builtin_memcpy(e->smac, &draft->to, MAC_LEN);
	__builtin_memcpy(e->dmac, &draft->from, MAC_LEN);
	e->vlan = draft->vlan;
	e->outer = draft->outer;
	if (ahead) {
		e->dst = p->src;
		if (!is_icmp(p)) {
			e->sport = p->dport;
			e->dport = p->sport;
		}
	}
	e->src = draft->hop;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

/* Tells of a source whose flow's packets came from another MAC. */
INLINE void source_moved(struct xdp_md *ctx, const struct packet *p, __u32 segment, const struct adjacency *own)
{
	__u64 known = own->to;
	struct event *e = noticed(NOTICE_MAC_MOVED, HOOK_XDP, ctx->ingress_ifindex, segment, p, (__u8 *)&known);

	if (e)
		bpf_ringbuf_submit(e, 0);
}

/* Enters how packets of this class leave, as the kernel has just answered; mac: the registered one of the station, or zero.
 * ahead: it is the class of the packet's destination. The adjacency's number, or 0. */
INLINE __u32 settle_way(const struct address_class *c, const struct packet *p, const struct way *w, const __u8 *mac,
			int ahead)
{
	__u32 zero = 0, number;
	struct adjacency *draft = bpf_map_lookup_elem(&adjacency_drafts, &zero);

	if (!draft)
		return 0;
	__builtin_memset(draft->former, 0, MAC_LEN);
	draft->registered = !no_mac(mac);
	draft->to = mac_word(draft->registered ? mac : w->fib->dmac, w->fib->mtu_result);
	draft->from = mac_word(w->fib->smac, c->device);
	draft->ifindex = w->port->ifindex;
	draft->vlan = c->vlan;
	draft->outer = c->outer;
	draft->stack = w->fib->ifindex != w->port->ifindex ? STACK_VLAN : c->vlan ? 0 : STACK_PORT;
	if (p->family == FAMILY_IP4)
		map_ip4(&draft->hop, w->fib->ipv4_dst);
	else
		__builtin_memcpy(&draft->hop, w->fib->ipv6_dst, sizeof(draft->hop));
	number = adjacency_settle();
	if (!no_mac(draft->former))
		hop_moved(p, w->port->ifindex, c->segment, ahead);
	return number;
}

/* The way to a destination on the link, when the kernel was asked about it within a second: by the same answer as the packets of
 * other flows go. (Behind a router other routes may lie, about which nobody has asked.) mac: the registered one of the
 * station, or zero; length: of the packet. The adjacency's number, or 0: the kernel is to be asked. */
INLINE __u32 known_way(const struct address_class *c, const struct ingress *in, __u32 family, const union addr *dst,
		       const __u8 *mac, __u32 length)
{
	struct adjacency *draft, *a;
	__u32 zero = 0, number;

	if (c->kind != KIND_FORWARD || !c->onlink || !leads_on(in->device, family, ticks()))
		return 0;
	draft = bpf_map_lookup_elem(&adjacency_drafts, &zero);
	if (!draft)
		return 0;
	draft->registered = !no_mac(mac);
	draft->to = mac_word(mac, 0);
	draft->from = (__u64)c->device << 48;
	draft->vlan = c->vlan;
	draft->outer = c->outer;
	draft->hop = *dst;
	number = adjacency_known();
	a = adjacency_at(number);
	if (!a || length > a->to >> 48)
		return 0;
	adjacency_used(a, ticks());
	return number;
}

/* May packets to this destination, and from it, go the fast ways? Where stations must be registered, those that are not may be
 * sent to, but whatever comes from them is to be held against the binding each time. */
INLINE int settles(const struct tables *t, const struct decision *d)
{
	struct segment *s = segment_of(t, d->dst_segment);

	return d->dst && s && !(s->strict && no_mac(d->dst->mac));
}

/* The known way of the packet that has just opened a flow, which notes it. Null: the kernel is to be asked. */
INLINE struct adjacency *first_way(const struct tables *t, const struct address_class *c, const struct ingress *in,
				   const struct packet *p, const struct decision *d)
{
	__u32 number;

	if (!d->opened || !d->line || p->piece != PIECE_WHOLE || p->ttl <= 1 || !settles(t, d))
		return 0;
	number = known_way(c, in, p->family, &p->dst, d->dst->mac, p->l3_length);
	if (number && d->line->epoch == t->epoch)
		d->line->adjacency[!(d->by_b & 1)] = number;
	return adjacency_at(number);
}

/* The way back to the packet's source, if the kernel would send there to what the packet's source MAC is. Only then may the
 * fast path take packets from there. w: the way on which this one leaves; written over. */
INLINE __u32 settle_back(struct xdp_md *ctx, const struct tables *t, const struct packet *p, const struct decision *d,
			 struct way *w)
{
	struct address_class *c = class_of(t, d->src_class);
	struct binding *src = locate(t, &p->src, p->family);

	if (!c || !src || c->kind != KIND_FORWARD)
		return 0;
	if (routed(ctx, w->port->ifindex, p, &p->dst, &p->src, c, w) || w->answer != BPF_FIB_LKUP_RET_SUCCESS)
		return 0;
	if (no_mac(src->mac) && !same_mac(w->fib->dmac, p->smac))
		return 0;
	return settle_way(c, p, w, src->mac, 0);
}

/* Notes for the flow's next packets how they leave, after the full path has let this one go on a way. A flow's first packet is
 * not kept waiting for the way back. */
INLINE void settle(struct xdp_md *ctx, const struct tables *t, const struct packet *p, const struct address_class *to,
		   struct way *w, const struct decision *d)
{
	struct line *l = d->line;
	struct adjacency *own;
	__u32 by_b = d->by_b & 1, number;

	if (!l || p->piece != PIECE_WHOLE || !settles(t, d))
		return;
	number = settle_way(to, p, w, d->dst->mac, 1);
	if (l->epoch != t->epoch || (!d->opened && !line_same(l, d->claim)))
		return; /* it was given away meanwhile, or later tables have permitted it */
	l->adjacency[!by_b] = number;
	if (d->opened)
		return;
	own = adjacency_at(l->adjacency[by_b]);
	if (own && !((own->to ^ mac_word(p->smac, 0)) & MAC_MASK))
		return;
	if (own)
		source_moved(ctx, p, d->src_segment, own);
	number = settle_back(ctx, t, p, d, w);
	if (l->epoch == t->epoch && line_same(l, d->claim))
		l->adjacency[by_b] = number;
}

/* The full path permits a packet of a known flow: what the flow points to stays its own. */
INLINE void ways_kept(const struct line *l)
{
	__u32 now = ticks(), i;

#pragma unroll
	for (i = 0; i < 2; i++) {
		struct adjacency *a = adjacency_at(l->adjacency[i]);

		if (a)
			adjacency_used(a, now);
	}
}

#endif
