/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 7: forward. The kernel's routing table says where, the destination's class says where at most: another device, next
 * hop or VLAN is an egress mismatch, never a detour. Then TTL, checksum, MACs, the tags of the destination's class, and out
 * through the DEVMAP, whose entries carry the egress program. What only the kernel can do (resolve a neighbour, answer that a packet lived too long or is
 * too big, feed a tunnel, serve the gate itself) goes up the stack with the mark.
 */
#ifndef SEKISHO_FORWARD_H
#define SEKISHO_FORWARD_H

#include "flow.h"
#include "parse.h"
#include "segment.h"

#define AF_INET 2
#define AF_INET6 10

/* Not a reason: the packet is to go up the stack. */
#define TO_STACK (-1)

/* Guarded ports by ifindex, each with the egress program. Written by the loader at each scan. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, MAX_DEVICES);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} egress_ports SEC(".maps");

/* The same for frames of several buffers: the kernel wants all programs around such a map to know them, or none. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, MAX_DEVICES);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} egress_ports_jumbo SEC(".maps");

/* Is the next hop that the route names one that the class permits for this destination? */
INLINE int hop_permitted(const struct address_class *c, __u8 family, const union addr *dst,
			 const struct bpf_fib_lookup *fib)
{
	union addr hop;

	if (family == FAMILY_IP4) {
		if (fib->family != AF_INET)
			return 0;
		map_ip4(&hop, fib->ipv4_dst);
		return same_addr(&hop, dst) ? c->onlink : same_addr(&hop, &c->via4);
	}
	__builtin_memcpy(&hop, fib->ipv6_dst, sizeof(hop));
	return same_addr(&hop, dst) ? c->onlink : same_addr(&hop, &c->via6);
}

/* Is the device that the route names the one that the class permits? A kernel device for a VLAN stands for its port and
 * tags. A port itself stands for all its VLANs: then the stack has no device for them and the class alone knows the tags. Into
 * a tunnel, any of its bundle will do, also while the one that the class names is not there. */
INLINE int device_permitted(const struct address_class *c, const struct device *port, __u32 ifindex)
{
	struct device_tags *via = tags_of_device(ifindex);
	struct device *other;
	__u32 number;

	if (!via)
		return 0;
	if (via->device != c->device) {
		number = via->device;
		other = port->bundle ? bpf_map_lookup_elem(&devices, &number) : 0;
		return other && other->bundle == port->bundle && other->ifindex == ifindex;
	}
	if (!port->ifindex)
		return 0;
	return ifindex == port->ifindex || (via->vlan == c->vlan && via->outer == c->outer);
}

/* The question to the kernel's routing table and its answer: too big for the stack. Used within one decision. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct bpf_fib_lookup)); /* a type that the generator of Go types does not take */
} lookups SEC(".maps");

/* A way through the kernel's routing table. */
struct way {
	struct bpf_fib_lookup *fib; /* as answered; null: not asked */
	struct device *port;        /* by which it leaves */
	long answer;                /* BPF_FIB_LKUP_RET_* */
};

/* Where the routing table leads from src to dst, for a packet that comes in by ifindex: PASS with the way, and what it says of
 * the next hop, or the reason why the packet may not go there. c: class of dst. ctx: of XDP or of tcx. What the stack is to
 * forward is asked about as well: a broadcast or anycast address inside a permitted segment is the kernel's own, and leads to
 * the gate's services. */
INLINE int routed(void *ctx, __u32 ifindex, const struct packet *p, const union addr *src, const union addr *dst,
		  const struct address_class *c, struct way *w)
{
	__u32 number = c->device, zero = 0;
	struct bpf_fib_lookup *fib = bpf_map_lookup_elem(&lookups, &zero);

	w->fib = fib;
	if (!fib)
		return DROP_NO_ROUTE;
	w->port = bpf_map_lookup_elem(&devices, &number);
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->ifindex = ifindex;
	fib->l4_protocol = p->proto;
	if (p->family == FAMILY_IP4) {
		fib->family = AF_INET;
		fib->tos = p->tos & 0x1c; /* as the kernel masks it */
		fib->ipv4_src = src->w[3];
		fib->ipv4_dst = dst->w[3];
	} else {
		fib->family = AF_INET6;
		__builtin_memcpy(fib->ipv6_src, src, sizeof(*src));
		__builtin_memcpy(fib->ipv6_dst, dst, sizeof(*dst));
	}
	/* tot_len stays 0: the lookup then answers in full, and gives the MTU */
	w->answer = bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
	if (w->answer == BPF_FIB_LKUP_RET_FWD_DISABLED)
		return DROP_FORWARDING_DISABLED;
	if (w->answer != BPF_FIB_LKUP_RET_SUCCESS && w->answer != BPF_FIB_LKUP_RET_NO_NEIGH &&
	    w->answer != BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return DROP_NO_ROUTE;
	if (!w->port || !device_permitted(c, w->port, fib->ifindex) || !hop_permitted(c, p->family, dst, fib))
		return DROP_EGRESS_MISMATCH;
	return PASS;
}

/* Where the packet goes: PASS with the way, TO_STACK, or a reason. */
INLINE int route(struct xdp_md *ctx, const struct packet *p, const struct address_class *c, struct way *w)
{
	int reason;

	if (c->kind == KIND_LOCAL)
		return TO_STACK;
	reason = routed(ctx, ctx->ingress_ifindex, p, &p->src, &p->dst, c, w);
	if (reason)
		return reason;
	if (c->kind == KIND_TUNNEL)
		return TO_STACK;
	if (p->ttl <= 1)
		return TO_STACK; /* the kernel answers "time exceeded" */
	if (w->answer == BPF_FIB_LKUP_RET_NO_NEIGH)
		return TO_STACK; /* the kernel resolves it */
	if (p->l3_length > w->fib->mtu_result)
		return TO_STACK; /* the kernel answers "too big", or fragments */
	return PASS;
}

/* One hop fewer to live, in the network header that p found. */
INLINE int count_hop(struct xdp_md *ctx, const struct packet *p)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	void *l3 = data + (p->l3 & 31);

	if (p->family == FAMILY_IP4) {
		struct ip4_header *ip = l3;
		__u32 check;

		if ((void *)(ip + 1) > end)
			return DROP_IP_TRUNCATED;
		check = ip->check; /* RFC 1624, as the kernel's ip_decrease_ttl */
		check += bpf_htons(0x0100);
		ip->check = check + (check >= 0xffff);
		ip->ttl--;
	} else {
		struct ip6_header *ip = l3;

		if ((void *)(ip + 1) > end)
			return DROP_IP_TRUNCATED;
		ip->hops--;
	}
	return PASS;
}

/* Writes hop limit, MACs and tags into the frame: it leaves with exactly the tags (vlan, outer) of its destination, at
 * priority 0, whatever it came with. Refused only when there is no room in front of the frame. Pointers into the frame are
 * void after. */
INLINE int rewrite(struct xdp_md *ctx, const struct packet *p, __u16 vlan, __u16 outer, const __u8 *dmac,
		   const __u8 *smac)
{
	int grow = (outer ? 8 : vlan ? 4 : 0) + (int)sizeof(struct ether_header) - (int)p->l3;
	__be16 type = p->family == FAMILY_IP4 ? bpf_htons(ETHERTYPE_IP4) : bpf_htons(ETHERTYPE_IP6);
	struct ether_header *eth;
	struct vlan_tag *tags;
	void *end;
	int reason = count_hop(ctx, p);

	if (reason)
		return reason;
	if (grow && bpf_xdp_adjust_head(ctx, -grow))
		return DROP_VLAN_REWRITE;
	eth = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	tags = (void *)(eth + 1);
	if ((void *)(eth + 1) > end)
		return DROP_FRAME_SHORT;
	__builtin_memcpy(eth->dst, dmac, MAC_LEN);
	__builtin_memcpy(eth->src, smac, MAC_LEN);
	if (!vlan) {
		eth->type = type;
		return PASS;
	}
	eth->type = bpf_htons(ETHERTYPE_VLAN);
	if (outer) {
		if ((void *)(tags + 1) > end)
			return DROP_FRAME_SHORT;
		eth->type = bpf_htons(ETHERTYPE_SVLAN);
		tags->tci = bpf_htons(outer);
		tags->type = bpf_htons(ETHERTYPE_VLAN);
		tags++;
	}
	if ((void *)(tags + 1) > end)
		return DROP_FRAME_SHORT;
	tags->tci = bpf_htons(vlan);
	tags->type = type;
	return PASS;
}

/* Lets a packet up the stack, with what tcx needs to mark it. The frame must not be touched through old pointers after. */
INLINE int up_the_stack(struct xdp_md *ctx, const struct packet *p, __u32 segment, __u8 bwclass)
{
	__u16 magic = boot_magic();
	struct metadata *m;

	if (!magic || bpf_xdp_adjust_meta(ctx, -(int)sizeof(*m)))
		return DROP_METADATA_FAILED;
	m = (void *)(long)ctx->data_meta;
	if ((void *)(m + 1) > (void *)(long)ctx->data)
		return DROP_METADATA_FAILED;
	m->mark = mark_of(magic, segment, bwclass);
	m->vlan = p->tag; /* the stack takes the first tag out of the frame, and shows it beside */
	m->pad = 0;
	return PASS;
}

#endif
