/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The express lane of what wants to open a flow: an untagged IPv4 frame without options that is a whole UDP packet or the first
 * one of TCP, from one registered address to another. It asks what the full path asks, of the same tables and in the same
 * order, and decides only where the answer is plain: no record permits it; or one does, and the way to there is known.
 * Everything else is left to the full path, which finds the packet as it came, and no quota asked.
 */
#ifndef SEKISHO_OPENING_H
#define SEKISHO_OPENING_H

#include "express.h"
#include "station.h"

/* The ends of the packet at hand: the stack has no room for them. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ends);
} opening_ends SEC(".maps");

/* Is there a line of these ends, perhaps? No line is looked at. */
INLINE int maybe_known(struct ends *e)
{
	__u32 other = hash_ends(e, hash_keys + OTHER_KEYS), number;
	struct flow_use *use = flow_use();
	__u64 *prints, *others;

	e->hash = hash_ends(e, hash_keys);
	number = set_of(e->hash, flow_sets4);
	prints = bpf_map_lookup_elem(&flow_prints4, &number);
	number = set_of(other, flow_sets4);
	others = bpf_map_lookup_elem(&flow_prints4, &number);
	if (!prints || !others || !use || former_until)
		return 1;
	if (use->overflow) {
		struct overflow_draft *draft = overflow_draft(e);

		if (!draft || bpf_map_lookup_elem(&flow_overflow, &draft->key))
			return 1;
	}
	return (bytes_equal(*prints, fingerprint(e->hash)) | bytes_equal(*others, fingerprint(other))) != 0;
}

/* The port by which the packet came in and its segment; PASS, or NOT_FAST. */
INLINE int opening_ingress(struct xdp_md *ctx, const struct tables *t, const void *frame, struct ingress *in)
{
	__u64 mac = double_at(frame, 0);

	if (device_of(ctx->ingress_ifindex, in) || (double_at(in->port->mac, 0) ^ mac) & MAC_MASK)
		return NOT_FAST;
	in->number = t->head->devices[in->device & (MAX_DEVICES - 1)].segment;
	in->segment = in->number ? segment_of(t, in->number) : 0;
	return in->segment && !in->segment->tunnel ? PASS : NOT_FAST;
}

/* Source and destination, both registered by their whole addresses; PASS, or NOT_FAST. */
INLINE int opening_classes(const struct tables *t, const struct ingress *in, const void *frame, struct decision *d,
			   struct address_class **to)
{
	union addr src, dst;
	struct binding *from;
	struct address_class *c;
	__u8 smac[MAC_LEN];

	map_ip4(&src, word_at(frame, 26));
	map_ip4(&dst, word_at(frame, 30));
	__builtin_memcpy(smac, frame + MAC_LEN, MAC_LEN);
	if (special_addr(&src, FAMILY_IP4) || special_addr(&dst, FAMILY_IP4) || src.w[3] == dst.w[3] || smac[0] & 1 ||
	    no_mac(smac))
		return NOT_FAST;
	from = binding_at(t, host4_in(t, src.w[3]));
	if (bound(in, from, smac))
		return NOT_FAST;
	c = class_of(t, from->class);
	if (!c || c->kind == KIND_LOCAL)
		return NOT_FAST;
	d->dst = binding_at(t, host4_in(t, dst.w[3]));
	*to = d->dst ? class_of(t, d->dst->class) : 0;
	if (!*to)
		return NOT_FAST;
	d->src_class = from->class;
	d->dst_class = d->dst->class;
	d->src_segment = in->number;
	d->dst_segment = d->dst->segment;
	if (segment_cut(in->segment) || segment_cut(segment_of(t, d->dst_segment)))
		return NOT_FAST;
	return PASS;
}

/* Counts the drop; the packet is taken apart only when somebody is to be told. */
INLINE int opening_dropped(struct xdp_md *ctx, const struct tables *t, const struct ingress *in,
			   const struct decision *d, __u32 reason, __u32 length)
{
	struct count *c = bpf_map_lookup_elem(&drops, &reason);
	struct packet *p;

	if (!event_wanted(reason)) {
		record(reason, 0, 0);
		if (c)
			add(c, length);
		return XDP_DROP;
	}
	p = fresh_packet(length);
	if (!p || parse_xdp(ctx, p))
		return XDP_DROP; /* it was taken apart already */
	note(p, t, d);
	dropped(reason, HOOK_XDP, ctx->ingress_ifindex, in->number, p);
	return XDP_DROP;
}

/* XDP_REDIRECT, XDP_DROP, or NOT_FAST. */
INLINE int opening(struct xdp_md *ctx, struct ingress *in, struct decision *d)
{
	void *frame = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 length = end - frame, total, number;
	int reason;
	struct address_class *class;
	struct expected x;
	struct ends *e;
	struct adjacency *to;
	struct segment *segment;
	struct tables t;
	struct cell *cell;
	union addr dst;
	__u64 left;

	if (frame + EXPRESS_LEAST > end)
		return NOT_FAST;
	total = bpf_ntohs(half_at(frame, 16));
	if (!express_kind(frame, length, total, ((__u8 *)frame)[23], TCP_CHANGES | TCP_ACK, TCP_SYN) || tables_now(&t))
		return NOT_FAST;
	if (opening_ingress(ctx, &t, frame, in) || opening_classes(&t, in, frame, d, &class))
		return NOT_FAST;
	d->by_b = express_ends(frame, &x);
	number = 0;
	e = bpf_map_lookup_elem(&opening_ends, &number);
	if (!e)
		return NOT_FAST;
	e->a[3] = x.a; /* nobody writes the other words */
	e->b[3] = x.b;
	e->ports = x.ports;
	e->family = FAMILY_IP4;
	e->by_b = d->by_b;
	e->tag = x.proto << TAG_PROTO | (d->by_b ? d->src_segment << SEGMENT_BITS | d->dst_segment
						 : d->dst_segment << SEGMENT_BITS | d->src_segment);
	e->mask = ~0u;
	if (maybe_known(e))
		return NOT_FAST;
	cell = cell_at(&t, cell_in(&t, d->src_class << 16 | (d->dst_class & 0xffff),
				   x.proto << 16 | bpf_ntohs(half_at(frame, 36))));
	if (!cell)
		return opening_dropped(ctx, &t, in, d, no_cell(&t, d), length);

	ask_for_line4(e->hash); /* which will probably be the flow's */
	map_ip4(&dst, word_at(frame, 30));
	number = known_way(class, in, FAMILY_IP4, &dst, d->dst->mac, total);
	to = adjacency_at(number);
	segment = segment_of(&t, d->dst_segment);
	if (!to || !segment || !settles(&t, d) || *(__u32 *)&to->vlan || rule_in_force(&t, cell->rule, &left))
		return NOT_FAST;
	if (bpf_redirect_map(&egress_ports, to->ifindex, XDP_DROP) != XDP_REDIRECT)
		return NOT_FAST;
	d->rule = cell->rule;
	d->bwclass = cell->bwclass;
	d->recheck_at = recheck(ticks(), left);
	d->way = number;
	reason = flow_enter(&t, e, cell, d, 0);
	if (reason || !d->line)
		return opening_dropped(ctx, &t, in, d, reason, length);
	express_rewrite(frame, to);
	flow_count(d, length);
	record(PASS, d->rule, 1);
	passed(in->segment->zone, segment->zone, length);
	count_opened();
	return XDP_REDIRECT;
}

#endif
