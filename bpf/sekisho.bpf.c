// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The packet core. One agreed set of steps serves five places:
 *
 *   classify    XDP on every port: the whole decision (classify_jumbo where frames are longer than a buffer)
 *   leave       XDP in every DEVMAP entry: the second engine, see egress.h (and leave_jumbo)
 *   port_in     tcx ingress on ports: only what XDP let up enters the stack; metadata becomes the mark
 *   port_out    tcx egress on ports: only marked or the gate's own packets leave the stack
 *   tunnel_in   tcx ingress on tunnel devices: the whole decision, without Ethernet; mappings back
 *   tunnel_out  tcx egress on tunnel devices: as port_out, and the bandwidth class; mappings towards regions
 *
 * and begin_collecting starts the timer that removes flows that are over.
 */
#include "types.h"

#include "image.h"
#include "isolate.h"

#include "event.h"
#include "parse.h"
#include "segment.h"
#include "station.h"

#include "neighbour.h"
#include "policy.h"

#include "line.h"

#include "quota.h"

#include "flow.h"
#include "fragment.h"

#include "adjacency.h"

#include "collect.h"
#include "forward.h"

#include "fast.h"
#include "express.h"
#include "opening.h"

#include "group.h"
#include "quote.h"

#include "egress.h"
#include "nat.h"

#include "capture.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define TCX_PASS 0
#define TCX_DROP 2

/* Of a packet in pages the kernel promises no byte in a row but those that it is asked for. This many hold every header that is
 * read, but for IPv6 with extension headers: Ethernet, tag, IPv4 with options around an error that quotes IPv4 with options. */
#define HEADERS 160
/* And this many those: IPv6 with as many and as long ones as the parser lets in, around an error that quotes the same. */
#define IP6_MOST (sizeof(struct ip6_header) + IP6_EXTENSIONS * IP6_EXTENSION_MOST + sizeof(struct icmp_header))
#define HEADERS_MOST (sizeof(struct ether_header) + sizeof(struct vlan_tag) + 2 * IP6_MOST)

/* Puts the headers in a row; l3: where the network header begins, when no tag stands in the frame. What the gate itself sends
 * with a tag in the frame and has such extension headers may find them cut off, and is refused. */
INLINE void headers_in_a_row(struct __sk_buff *skb, __u32 l3)
{
	__u32 most = HEADERS;
	__u8 head[8];

	if (!bpf_skb_load_bytes(skb, l3, head, sizeof(head)) && head[0] >> 4 == 6 &&
	    (is_extension(head[6]) || head[6] == PROTO_ICMP6))
		most = HEADERS_MOST;
	bpf_skb_pull_data(skb, skb->len < most ? skb->len : most);
}

/* Source and destination of the packet become classes and segments. */
INLINE int classes_of(const struct tables *t, const struct ingress *in, const struct packet *p, struct decision *d,
		      struct address_class **to)
{
	struct binding *dst;
	int reason;

	if (special_addr(&p->src, p->family))
		return DROP_SOURCE_ADDRESS;
	if (special_addr(&p->dst, p->family) || same_addr(&p->src, &p->dst))
		return DROP_DESTINATION_ADDRESS;
	reason = station(t, in, p, &d->src_class);
	if (reason)
		return reason;
	dst = locate(t, &p->dst, p->family);
	if (!dst)
		return DROP_DESTINATION_UNKNOWN;
	*to = class_of(t, dst->class);
	if (!*to)
		return DROP_DESTINATION_UNKNOWN;
	d->dst = dst;
	d->dst_class = dst->class;
	d->src_segment = in->number;
	d->dst_segment = dst->segment;
	return segment_cut(segment_of(t, dst->segment)) ? DROP_ZONE_ISOLATED : PASS;
}

INLINE void count_allowed(const struct tables *t, const struct ingress *in, const struct packet *p,
			  const struct decision *d)
{
	struct segment *to = segment_of(t, d->dst_segment);

	record(PASS, d->rule, d->opened);
	passed(in->segment->zone, to ? to->zone : 0, p->length);
	flow_count(d, p->length);
	if (d->opened)
		count_opened();
}

/* By which flow, or by which first fragment, the packet may pass. c stands behind the first eight bytes of its L4 header. */
INLINE int belong(const struct tables *t, const struct ingress *in, struct cursor *c, const struct packet *p,
		  struct decision *d)
{
	if (p->piece == PIECE_LATER)
		return fragment_later(t, in->number, p, d);
	return is_icmp_error(p) ? quoted(t, in, c, p, d) : admit(t, p, d);
}

/* Everything up to the verdict; PASS with act set, or the reason. in and d are zero. */
INLINE int decide(struct xdp_md *ctx, void *exits, struct packet *p, struct ingress *in, struct decision *d, int *act)
{
	struct tables t;
	struct cursor c;
	struct address_class *to;
	struct adjacency *known;
	struct way w;
	int reason, way;

	reason = parse_xdp(ctx, p);
	if (reason)
		return reason;
	reason = tables_now(&t);
	if (reason)
		return reason;
	reason = segment_of_port(&t, ctx->ingress_ifindex, p, in);
	if (reason)
		return reason;
	*act = XDP_PASS;
	behind_head(&c, (void *)(long)ctx->data, (void *)(long)ctx->data_end, p);
	if (p->family == FAMILY_ARP || is_nd(p)) {
		reason = p->family == FAMILY_ARP ? neighbour_arp(&t, in, p) : neighbour_nd(&t, in, &c, p);
		if (reason)
			return reason;
		record(PASS, 0, 0);
		return up_the_stack(ctx, p, in->number, 0);
	}
	if (segment_cut(in->segment))
		return DROP_ZONE_ISOLATED;
	reason = dhcp(in, &c, p);
	if (reason)
		return reason;
	if (p->dmac[0] & 1) {
		reason = to_group(&t, in, p, d);
		note(p, &t, d);
		if (!reason)
			reason = up_the_stack(ctx, p, in->number, d->bwclass);
		if (!reason)
			count_allowed(&t, in, p, d);
		return reason;
	}
	reason = addressed(in, p);
	if (reason)
		return reason;
	reason = fast(ctx, exits, &t, in, p, act);
	if (reason != NOT_FAST)
		return reason;
	reason = classes_of(&t, in, p, d, &to);
	if (reason)
		return reason;
	reason = belong(&t, in, &c, p, d);
	note(p, &t, d);
	if (reason)
		return reason;
	if (d->line && !d->opened)
		ways_kept(d->line);
	known = first_way(&t, to, in, p, d);
	if (known) {
		reason = rewrite(ctx, p, known->vlan, known->outer, (__u8 *)&known->to, (__u8 *)&known->from);
		if (reason)
			return reason;
		*act = bpf_redirect_map(exits, known->ifindex, XDP_DROP);
		if (*act != XDP_REDIRECT)
			return DROP_EGRESS_UNGUARDED;
		count_allowed(&t, in, p, d);
		return PASS;
	}
	way = route(ctx, p, to, &w);
	if (way != TO_STACK && way != PASS)
		return way;
	if (to->kind == KIND_TUNNEL)
		d->bwclass = class_by_mark(&t, in->segment, p, d->bwclass);
	if (p->piece == PIECE_FIRST) {
		reason = fragment_first(&t, in->number, p, d);
		if (reason)
			return reason;
	}
	if (way == TO_STACK) {
		reason = up_the_stack(ctx, p, in->number, d->bwclass);
		if (reason)
			return reason;
	} else {
		reason = rewrite(ctx, p, to->vlan, to->outer, no_mac(d->dst->mac) ? w.fib->dmac : d->dst->mac,
				 w.fib->smac);
		if (reason)
			return reason;
		*act = bpf_redirect_map(exits, w.port->ifindex, XDP_DROP);
		if (*act != XDP_REDIRECT)
			return DROP_EGRESS_UNGUARDED;
		lead_on(in->device, p->family);
		settle(ctx, &t, p, to, &w, d);
	}
	count_allowed(&t, in, p, d);
	return PASS;
}

INLINE int classified(struct xdp_md *ctx, void *exits, __u32 length)
{
	__u32 watched = watching;
	int act = XDP_DROP, reason;
	struct ingress in = {};
	struct decision d = {};
	struct packet *p;

	/* The express way knows frames of one buffer only. */
	if (exits == &egress_ports && !watched) {
		act = express(ctx);
		if (act == NOT_FAST)
			act = opening(ctx, &in, &d);
		if (act != NOT_FAST)
			return act;
		act = XDP_DROP;
		__builtin_memset(&in, 0, sizeof(in));
		__builtin_memset(&d, 0, sizeof(d));
	}
	p = fresh_packet(length);
	if (!p)
		return XDP_DROP;
	if (watched)
		keep_frame(ctx);
	reason = decide(ctx, exits, p, &in, &d, &act);
	if (reason) {
		dropped(reason, HOOK_XDP, ctx->ingress_ifindex, in.number, p);
		act = XDP_DROP;
	}
	if (watched)
		show(reason, HOOK_XDP, ctx->ingress_ifindex, in.number, p);
	return act;
}

SEC("xdp")
int classify(struct xdp_md *ctx)
{
	return classified(ctx, &egress_ports, ctx->data_end - ctx->data);
}

/* For ports whose frames do not fit into one buffer. All headers must lie in the first, as in every driver they do. */
SEC("xdp.frags")
int classify_jumbo(struct xdp_md *ctx)
{
	return classified(ctx, &egress_ports_jumbo, bpf_xdp_get_buff_len(ctx));
}

INLINE void packet_of_leaving(const struct leaving *l, struct packet *p)
{
	__builtin_memcpy(&p->src, l->src, sizeof(p->src));
	__builtin_memcpy(&p->dst, l->dst, sizeof(p->dst));
	p->family = l->version;
	p->vlan = l->vlan;
	p->outer = l->outer;
}

INLINE int left(struct xdp_md *ctx, __u32 length)
{
	struct packet p = {.length = length};
	struct leaving l = {};
	int reason = DROP_EGRESS_MALFORMED;

	if (leaving_frame((void *)(long)ctx->data, (void *)(long)ctx->data_end, 0, &l))
		reason = may_leave(&l, ctx->ingress_ifindex, ctx->egress_ifindex, BY_FORWARDING);
	if (!reason)
		return XDP_PASS;
	packet_of_leaving(&l, &p);
	dropped(reason, HOOK_DEVMAP, ctx->egress_ifindex, 0, &p);
	count_refused_at_exit();
	if (watching) {
		keep_frame(ctx);
		show(reason, HOOK_DEVMAP, ctx->egress_ifindex, 0, &p);
	}
	return XDP_DROP;
}

SEC("xdp/devmap")
int leave(struct xdp_md *ctx)
{
	return left(ctx, ctx->data_end - ctx->data);
}

SEC("xdp.frags/devmap")
int leave_jumbo(struct xdp_md *ctx)
{
	return left(ctx, bpf_xdp_get_buff_len(ctx));
}

/* The tag that the kernel holds beside the frame: the first one. */
INLINE __u16 tag_of(const struct __sk_buff *skb)
{
	return skb->vlan_present ? skb->vlan_tci & 0x0fff : 0;
}

/* Puts the tag beside the frame around those in it. */
INLINE int tag_beside(const struct __sk_buff *skb, struct packet *p)
{
	if (!skb->vlan_present)
		return PASS;
	if (p->l3 > sizeof(struct ether_header) + sizeof(struct vlan_tag))
		return DROP_VLAN_STACKED;
	return note_tags(p, tag_of(skb), p->vlan, skb->vlan_proto == bpf_htons(ETHERTYPE_SVLAN));
}

SEC("tcx/ingress")
int port_in(struct __sk_buff *skb)
{
	struct metadata *m = (void *)(long)skb->data_meta;
	struct packet p = {.length = skb->len, .vlan = tag_of(skb)};
	__u16 magic = boot_magic();
	int reason = PASS;

	if ((void *)(m + 1) > (void *)(long)skb->data || !magic || m->mark >> 16 != magic)
		reason = DROP_METADATA_MISSING;
	else if (m->vlan != p.vlan)
		reason = DROP_VLAN_MISMATCH;
	if (reason) {
		dropped(reason, HOOK_PORT_IN, skb->ifindex, 0, &p);
		if (watching) {
			keep_packet(skb);
			show(reason, HOOK_PORT_IN, skb->ifindex, 0, &p);
		}
		return TCX_DROP;
	}
	skb->mark = m->mark;
	return TCX_PASS;
}

/* A packet of the gate itself: its own address must be one of a segment that hangs here, and a record must allow it. */
INLINE int gate_packet(const struct tables *t, const struct ingress *in, const struct packet *p,
		       const struct binding *src, struct decision *d)
{
	struct binding *dst;
	struct address_class *to;
	int reason;

	if (!in->segment || !same_place(in->segment->device, in->device, in->port) || in->segment->vlan != p->vlan ||
	    in->segment->outer != p->outer)
		return DROP_EGRESS_WRONG_PORT;
	if (segment_cut(in->segment))
		return DROP_ZONE_ISOLATED;
	if (special_addr(&p->dst, p->family))
		return DROP_GATE_REFUSED;
	dst = locate(t, &p->dst, p->family);
	to = dst ? class_of(t, dst->class) : 0;
	if (!to || to->kind == KIND_LOCAL)
		return DROP_DESTINATION_UNKNOWN;
	if (!same_place(to->device, in->device, in->port) || to->vlan != p->vlan || to->outer != p->outer)
		return DROP_EGRESS_MISMATCH;
	d->src_class = src->class;
	d->dst_class = dst->class;
	d->src_segment = in->number;
	d->dst_segment = dst->segment;
	if (is_icmp_error(p)) /* the kernel's own, about what it could not forward */
		return dst->segment == src->segment ? PASS : DROP_EGRESS_MISMATCH;
	if (p->piece == PIECE_LATER)
		return fragment_later(t, in->number, p, d);
	reason = admit(t, p, d);
	return !reason && p->piece ? fragment_first(t, in->number, p, d) : reason;
}

/* Does this address lie in the segment, whoever has it there? */
INLINE int lies_in(const struct tables *t, const struct ingress *in, const union addr *a, __u8 family)
{
	struct binding *b = locate(t, a, family);

	return b && b->segment == in->number;
}

/* Neighbour discovery of the gate: it asks about the segment, in its own name there or without one, and answers for itself.
 * Link-local addresses are the kernel's own affair. A hop limit of 255 proves that nobody forwarded it. */
INLINE int gate_discovery(const struct tables *t, const struct ingress *in, struct cursor *c, const struct packet *p)
{
	union addr *at = take(c, sizeof(*at)), target;

	if ((p->type != ND_NS && p->type != ND_NA) || p->ttl != 255 || p->code || !at)
		return DROP_GATE_REFUSED;
	target = *at;
	if (!is_link_local(&p->src) && !is_gate(t, in->number, &p->src, FAMILY_IP6) &&
	    (p->type == ND_NA || !no_addr(&p->src)))
		return DROP_GATE_REFUSED;
	if (p->dst.b[0] != 0xff && !is_link_local(&p->dst) && !lies_in(t, in, &p->dst, FAMILY_IP6))
		return DROP_EGRESS_WRONG_PORT;
	if (is_link_local(&target) || is_gate(t, in->number, &target, FAMILY_IP6))
		return PASS;
	if (p->type == ND_NA || no_addr(&p->src))
		return DROP_GATE_REFUSED;
	return lies_in(t, in, &target, FAMILY_IP6) ? PASS : DROP_EGRESS_WRONG_PORT;
}

/* ARP and neighbour discovery of the gate, in the segment of this port and VLAN only. */
INLINE int gate_neighbour(const struct tables *t, struct ingress *in, __u32 ifindex, struct cursor *c,
			  const struct packet *p)
{
	if (segment_of_port(t, ifindex, p, in))
		return DROP_GATE_REFUSED;
	if (p->family == FAMILY_IP6)
		return gate_discovery(t, in, c, p);
	if (!is_gate(t, in->number, &p->src, FAMILY_IP4))
		return DROP_GATE_REFUSED;
	return lies_in(t, in, &p->dst, FAMILY_IP4) ? PASS : DROP_EGRESS_WRONG_PORT;
}

/* Forwarded by the stack: it must carry our mark, and the anchors must agree. */
INLINE int forwarded(const struct tables *t, const struct __sk_buff *skb, const struct leaving *l, __u16 magic)
{
	struct segment *from;
	struct anchor *src;
	int reason;

	if (!magic || skb->mark >> 16 != magic)
		return DROP_MARK_MISSING;
	reason = may_leave(l, 0, skb->ifindex, BY_FORWARDING);
	if (reason)
		return reason;
	from = segment_of(t, skb->mark >> 6 & 0x3ff);
	src = anchor_of(l->src, l->version);
	return from && src && from->zone == src->zone ? PASS : DROP_EGRESS_WRONG_SOURCE;
}

/* tcx egress. layer2: the frame begins with Ethernet. bwclass: what the packet may claim in a tunnel. */
INLINE int leave_stack(struct __sk_buff *skb, int layer2, struct packet *p, __u8 *bwclass)
{
	struct leaving l = {};
	struct ingress in = {};
	struct decision d = {};
	struct tables t;
	struct binding *src;
	struct address_class *class;
	struct cursor c;
	void *data, *end;
	int reason, readable;

	reason = tables_now(&t);
	if (reason)
		return reason;
	headers_in_a_row(skb, layer2 ? sizeof(struct ether_header) : 0);
	reason = device_of(skb->ifindex, &in);
	if (reason)
		return reason;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	l.vlan = tag_of(skb);
	readable = layer2 ? leaving_frame(data, end, skb->vlan_present ? bpf_ntohs(skb->vlan_proto) : 0, &l)
			  : leaving_network(data, end, &l);
	src = readable ? locate(&t, (union addr *)l.src, l.version) : 0;
	class = src ? class_of(&t, src->class) : 0;
	if (src && !(class && class->kind == KIND_LOCAL)) {
		packet_of_leaving(&l, p);
		*bwclass = skb->mark & 0x3f;
		return forwarded(&t, skb, &l, boot_magic());
	}
	/* The gate's own: its addresses, ARP, and IPv6 from a link-local address. */
	reason = parse_skb(skb, p, layer2);
	if (!reason)
		reason = tag_beside(skb, p);
	if (reason)
		return reason;
	if (p->family == FAMILY_ARP || is_nd(p)) {
		behind_head(&c, (void *)(long)skb->data, (void *)(long)skb->data_end, p);
		return layer2 ? gate_neighbour(&t, &in, skb->ifindex, &c, p) : DROP_GATE_REFUSED;
	}
	if (!src)
		return DROP_GATE_REFUSED;
	in.number = src->segment;
	in.segment = segment_of(&t, in.number);
	reason = gate_packet(&t, &in, p, src, &d);
	if (reason)
		return reason;
	*bwclass = d.bwclass;
	note(p, &t, &d);
	reason = may_leave(&l, 0, skb->ifindex, BY_THE_GATE);
	if (!reason)
		flow_count(&d, p->length);
	return reason;
}

SEC("tcx/egress")
int port_out(struct __sk_buff *skb)
{
	struct packet *p = fresh_packet(skb->len);
	__u8 bwclass = 0;
	int reason;

	if (!p)
		return TCX_DROP;
	reason = leave_stack(skb, 1, p, &bwclass);
	if (reason)
		dropped(reason, HOOK_PORT_OUT, skb->ifindex, 0, p);
	if (watching) {
		keep_packet(skb);
		show(reason, HOOK_PORT_OUT, skb->ifindex, 0, p);
	}
	return reason ? TCX_DROP : TCX_PASS;
}

#define HTB_MAJOR 1
#define HTB_LEAF 0x10

SEC("tcx/egress")
int tunnel_out(struct __sk_buff *skb)
{
	struct packet *p = fresh_packet(skb->len);
	__u8 bwclass = 0;
	__be32 became;
	int reason;

	if (!p)
		return TCX_DROP;
	reason = leave_stack(skb, 0, p, &bwclass);
	if (!reason)
		reason = translate(skb, NAT_OUT, &became);
	if (reason)
		dropped(reason, HOOK_TUNNEL_OUT, skb->ifindex, 0, p);
	if (watching) {
		keep_packet(skb);
		show(reason, HOOK_TUNNEL_OUT, skb->ifindex, 0, p);
	}
	if (reason)
		return TCX_DROP;
	skb->priority = bwclass ? HTB_MAJOR << 16 | (HTB_LEAF + bwclass) : 0; /* 0: the tree's default class */
	return TCX_PASS;
}

/* A tunnel's segment is that of the source: WireGuard has bound the source to its peer. */
INLINE int decide_bare(struct __sk_buff *skb, struct packet *p, struct ingress *in, struct decision *d)
{
	struct way w;
	struct cursor c;
	struct binding *src;
	struct address_class *to;
	struct tables t;
	__be32 became = 0;
	int reason;

	headers_in_a_row(skb, 0);
	reason = parse_skb(skb, p, 0);
	if (reason)
		return reason;
	reason = tables_now(&t);
	if (reason)
		return reason;
	reason = device_of(skb->ifindex, in);
	if (reason)
		return reason;
	if (special_addr(&p->src, p->family))
		return DROP_SOURCE_ADDRESS;
	src = locate(&t, &p->src, p->family);
	if (!src)
		return DROP_SOURCE_NOT_IN_SEGMENT;
	in->segment = segment_of(&t, src->segment);
	if (!in->segment || !in->segment->tunnel || !same_place(in->segment->device, in->device, in->port))
		return DROP_SOURCE_NOT_IN_SEGMENT;
	in->number = src->segment;
	if (segment_cut(in->segment))
		return DROP_ZONE_ISOLATED;
	reason = translate(skb, NAT_IN, &became);
	if (reason)
		return reason;
	if (became)
		map_ip4(&p->dst, became);
	behind_head(&c, (void *)(long)skb->data, (void *)(long)skb->data_end, p);
	reason = dhcp(in, &c, p);
	if (reason)
		return reason;
	reason = classes_of(&t, in, p, d, &to);
	if (reason)
		return reason;
	reason = belong(&t, in, &c, p, d);
	note(p, &t, d);
	if (!reason && to->kind != KIND_LOCAL)
		reason = routed(skb, skb->ifindex, p, &p->src, &p->dst, to, &w);
	if (!reason && p->piece == PIECE_FIRST)
		reason = fragment_first(&t, in->number, p, d);
	if (reason)
		return reason;
	count_allowed(&t, in, p, d);
	return PASS;
}

SEC("tcx/ingress")
int tunnel_in(struct __sk_buff *skb)
{
	struct packet *p = fresh_packet(skb->len);
	struct ingress in = {};
	struct decision d = {};
	__u16 magic = boot_magic();
	int reason;

	if (!p)
		return TCX_DROP;
	reason = decide_bare(skb, p, &in, &d);
	if (!reason && !magic)
		reason = DROP_METADATA_FAILED;
	if (reason)
		dropped(reason, HOOK_TUNNEL_IN, skb->ifindex, in.number, p);
	if (watching) {
		keep_packet(skb);
		show(reason, HOOK_TUNNEL_IN, skb->ifindex, in.number, p);
	}
	if (reason)
		return TCX_DROP;
	skb->mark = mark_of(magic, in.number, d.bwclass);
	return TCX_PASS;
}
