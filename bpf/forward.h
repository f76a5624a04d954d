/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 7: forward. The kernel's routing table says where, the destination's class says where at most: another device, next
 * hop or VLAN is an egress mismatch, never a detour. Then TTL, checksum, MACs, and out through the DEVMAP, whose entries
 * carry the egress program. What only the kernel can do (resolve a neighbour, answer that a packet lived too long or is
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

/* Is the next hop that the route names one that the class permits? */
INLINE int hop_permitted(const struct address_class *c, const struct packet *p, const struct bpf_fib_lookup *fib)
{
	union addr hop;

	if (p->family == FAMILY_IP4) {
		if (fib->family != AF_INET)
			return 0;
		map_ip4(&hop, fib->ipv4_dst);
		return same_addr(&hop, &p->dst) ? c->onlink : same_addr(&hop, &c->via4);
	}
	__builtin_memcpy(&hop, fib->ipv6_dst, sizeof(hop));
	return same_addr(&hop, &p->dst) ? c->onlink : same_addr(&hop, &c->via6);
}

/* Where the packet goes: PASS with fib filled, TO_STACK, or a reason. */
INLINE int route(struct xdp_md *ctx, const struct packet *p, const struct address_class *c, struct bpf_fib_lookup *fib)
{
	__u32 number = c->device;
	struct device *out = bpf_map_lookup_elem(&devices, &number);
	long answer;

	if (p->vlan != c->vlan)
		return DROP_VLAN_REWRITE;
	if (p->ttl <= 1)
		return TO_STACK; /* the kernel answers "time exceeded" */
	fib->ifindex = ctx->ingress_ifindex;
	fib->l4_protocol = p->proto;
	if (p->family == FAMILY_IP4) {
		fib->family = AF_INET;
		fib->tos = p->tos & 0x1c; /* as the kernel masks it */
		fib->ipv4_src = p->src.w[3];
		fib->ipv4_dst = p->dst.w[3];
	} else {
		fib->family = AF_INET6;
		__builtin_memcpy(fib->ipv6_src, &p->src, sizeof(p->src));
		__builtin_memcpy(fib->ipv6_dst, &p->dst, sizeof(p->dst));
	}
	/* tot_len stays 0: the lookup then answers in full, and gives the MTU */
	answer = bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
	if (answer == BPF_FIB_LKUP_RET_FWD_DISABLED)
		return DROP_FORWARDING_DISABLED;
	if (answer != BPF_FIB_LKUP_RET_SUCCESS && answer != BPF_FIB_LKUP_RET_NO_NEIGH)
		return DROP_NO_ROUTE;
	if (!out || !out->ifindex || fib->ifindex != out->ifindex || !hop_permitted(c, p, fib))
		return DROP_EGRESS_MISMATCH;
	if (answer == BPF_FIB_LKUP_RET_NO_NEIGH)
		return TO_STACK; /* the kernel resolves it */
	if (p->l3_length > fib->mtu_result)
		return TO_STACK; /* the kernel answers "too big", or fragments */
	return PASS;
}

/* Writes MACs and hop limit into the frame. Fails only if the frame changed under us. */
INLINE int rewrite(struct xdp_md *ctx, const struct packet *p, const struct bpf_fib_lookup *fib)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ether_header *eth = data;
	void *l3 = data + (p->l3 == sizeof(*eth) ? sizeof(*eth) : sizeof(*eth) + sizeof(struct vlan_tag));

	if ((void *)(eth + 1) > end)
		return DROP_FRAME_SHORT;
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
	__builtin_memcpy(eth->dst, fib->dmac, MAC_LEN);
	__builtin_memcpy(eth->src, fib->smac, MAC_LEN);
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
	m->vlan = p->vlan;
	m->pad = 0;
	return PASS;
}

#endif
