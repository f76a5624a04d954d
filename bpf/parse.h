/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 1: parse. One cursor over the frame; everything that decides later is copied into struct packet.
 *
 * What is not understood to its last header is refused: a second VLAN tag, any fragment, any IPv6 extension header, a
 * length that contradicts another. IPv4 options are skipped by their length. Frames may be longer than the packet in them
 * (padding), never shorter.
 */
#ifndef SEKISHO_PARSE_H
#define SEKISHO_PARSE_H

#include "types.h"

struct ether_header {
	__u8 dst[MAC_LEN];
	__u8 src[MAC_LEN];
	__be16 type;
};

struct vlan_tag {
	__be16 tci;
	__be16 type;
};

struct arp_header {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u8 sender_mac[MAC_LEN];
	__u8 sender[4];
	__u8 target_mac[MAC_LEN];
	__u8 target[4];
} __attribute__((packed));

struct ip4_header {
	__u8 version_ihl;
	__u8 tos;
	__be16 total;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 proto;
	__u16 check;
	__be32 src;
	__be32 dst;
};

struct ip6_header {
	__be32 version_class_flow;
	__be16 payload;
	__u8 next;
	__u8 hops;
	union addr src;
	union addr dst;
};

struct tcp_header {
	__be16 sport;
	__be16 dport;
	__be32 seq;
	__be32 ack;
	__u8 offset;
	__u8 flags;
	__be16 window;
	__be16 check;
	__be16 urgent;
};

struct udp_header {
	__be16 sport;
	__be16 dport;
	__be16 length;
	__be16 check;
};

struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 check;
	__be16 id; /* of an echo */
	__be16 sequence;
};

/* Where the parser stands. left counts the bytes of the packet from pos on; the readable memory ends at end. */
struct cursor {
	void *pos;
	void *end;
	__u32 left;
};

/* The next size bytes, or null when the packet does not hold them. */
INLINE void *take(struct cursor *c, __u32 size)
{
	void *p = c->pos;

	/* Keeps clang from testing one sum and using another: the verifier would not see that they are equal. */
	asm volatile("" : "+r"(p));
	if (c->left < size || p + size > c->end)
		return 0;
	c->pos = p + size;
	c->left -= size;
	return p;
}

INLINE int parse_l4(struct cursor *c, struct packet *p)
{
	p->l4_length = c->left;
	if (p->proto == PROTO_TCP) {
		struct tcp_header *tcp = take(c, sizeof(*tcp));
		__u32 header;

		if (!tcp)
			return DROP_L4_TRUNCATED;
		header = (tcp->offset >> 4) * 4;
		if (header < sizeof(*tcp) || header > p->l4_length)
			return DROP_L4_HEADER;
		p->sport = bpf_ntohs(tcp->sport);
		p->dport = bpf_ntohs(tcp->dport);
		p->tcp_flags = tcp->flags;
		return PASS;
	}
	if (p->proto == PROTO_UDP) {
		struct udp_header *udp = take(c, sizeof(*udp));
		__u32 length;

		if (!udp)
			return DROP_L4_TRUNCATED;
		length = bpf_ntohs(udp->length);
		if (length < sizeof(*udp) || length > p->l4_length)
			return DROP_L4_HEADER;
		p->sport = bpf_ntohs(udp->sport);
		p->dport = bpf_ntohs(udp->dport);
		return PASS;
	}
	if (p->proto == PROTO_ICMP || p->proto == PROTO_ICMP6) {
		struct icmp_header *icmp;

		if ((p->proto == PROTO_ICMP) != (p->family == FAMILY_IP4))
			return DROP_L4_HEADER;
		icmp = take(c, sizeof(*icmp));
		if (!icmp)
			return DROP_L4_TRUNCATED;
		p->type = icmp->type;
		p->code = icmp->code;
		p->sport = p->dport = bpf_ntohs(icmp->id);
		return PASS;
	}
	return PASS;
}

INLINE int parse_ip4(struct cursor *c, struct packet *p)
{
	__u32 left = c->left, header, total;
	struct ip4_header *ip = take(c, sizeof(*ip));

	if (!ip)
		return DROP_IP_TRUNCATED;
	header = (ip->version_ihl & 0x0f) * 4;
	total = bpf_ntohs(ip->total);
	if (ip->version_ihl >> 4 != 4 || header < sizeof(*ip) || total < header)
		return DROP_IP_HEADER;
	if (left < total)
		return DROP_IP_TRUNCATED;
	if (bpf_ntohs(ip->fragment) & 0x3fff)
		return DROP_FRAGMENT;
	p->family = FAMILY_IP4;
	p->proto = ip->proto;
	p->ttl = ip->ttl;
	p->tos = ip->tos;
	p->l3_length = total;
	map_ip4(&p->src, ip->src);
	map_ip4(&p->dst, ip->dst);
	c->pos += header - sizeof(*ip);
	c->left = total - header;
	return parse_l4(c, p);
}

/* Hop-by-hop, routing, authentication, destination options, mobility, HIP, shim6. */
INLINE int is_ip6_extension(__u8 next)
{
	return next == 0 || next == 43 || next == 51 || next == 60 || next == 135 || next == 139 || next == 140;
}

INLINE int parse_ip6(struct cursor *c, struct packet *p)
{
	struct ip6_header *ip = take(c, sizeof(*ip));
	__u32 payload, first;

	if (!ip)
		return DROP_IP_TRUNCATED;
	first = bpf_ntohl(ip->version_class_flow);
	payload = bpf_ntohs(ip->payload);
	if (first >> 28 != 6)
		return DROP_IP_HEADER;
	if (c->left < payload)
		return DROP_IP_TRUNCATED;
	if (ip->next == 44)
		return DROP_FRAGMENT;
	if (is_ip6_extension(ip->next))
		return DROP_IP6_EXTENSION;
	p->family = FAMILY_IP6;
	p->proto = ip->next;
	p->ttl = ip->hops;
	p->tos = first >> 20;
	p->l3_length = sizeof(*ip) + payload;
	p->src = ip->src;
	p->dst = ip->dst;
	c->left = payload;
	return parse_l4(c, p);
}

/* ARP for IPv4 over Ethernet (RFC 826), nothing else. */
INLINE int parse_arp(struct cursor *c, struct packet *p)
{
	struct arp_header *arp = take(c, sizeof(*arp));
	__u16 op;

	if (!arp)
		return DROP_ARP_MALFORMED;
	op = bpf_ntohs(arp->operation);
	if (arp->hardware != bpf_htons(1) || arp->protocol != bpf_htons(ETHERTYPE_IP4) ||
	    arp->hardware_length != MAC_LEN || arp->protocol_length != 4 || op < 1 || op > 2)
		return DROP_ARP_MALFORMED;
	p->family = FAMILY_ARP;
	p->type = op;
	p->arp_mac_ok = same_mac(arp->sender_mac, p->smac);
	p->src.w[0] = p->src.w[1] = p->dst.w[0] = p->dst.w[1] = 0;
	p->src.w[2] = p->dst.w[2] = bpf_htonl(0xffff);
	__builtin_memcpy(&p->src.w[3], arp->sender, 4);
	__builtin_memcpy(&p->dst.w[3], arp->target, 4);
	return PASS;
}

/* Ethernet with at most one 802.1Q tag. Tag 0 carries a priority only: untagged. */
INLINE int parse_frame(struct cursor *c, struct packet *p)
{
	struct ether_header *eth = take(c, sizeof(*eth));
	__be16 type;

	if (!eth)
		return DROP_FRAME_SHORT;
	__builtin_memcpy(p->smac, eth->src, MAC_LEN);
	__builtin_memcpy(p->dmac, eth->dst, MAC_LEN);
	type = eth->type;
	p->l3 = sizeof(*eth);
	if (type == bpf_htons(ETHERTYPE_VLAN)) {
		struct vlan_tag *tag = take(c, sizeof(*tag));

		if (!tag)
			return DROP_FRAME_SHORT;
		p->vlan = bpf_ntohs(tag->tci) & 0x0fff;
		p->l3 += sizeof(*tag);
		type = tag->type;
	}
	if (type == bpf_htons(ETHERTYPE_VLAN) || type == bpf_htons(ETHERTYPE_SVLAN))
		return DROP_VLAN_STACKED;
	if (p->smac[0] & 1 || no_mac(p->smac))
		return DROP_L2_SOURCE;
	if (type == bpf_htons(ETHERTYPE_ARP))
		return parse_arp(c, p);
	if (type == bpf_htons(ETHERTYPE_IP4))
		return parse_ip4(c, p);
	if (type == bpf_htons(ETHERTYPE_IP6))
		return parse_ip6(c, p);
	return DROP_ETHERTYPE;
}

/* A packet of a layer 3 device: the first nibble is the version. */
INLINE int parse_bare(struct cursor *c, struct packet *p)
{
	__u8 *first = c->pos;

	if (c->left < 1 || (void *)(first + 1) > c->end)
		return DROP_IP_TRUNCATED;
	if (*first >> 4 == 4)
		return parse_ip4(c, p);
	if (*first >> 4 == 6)
		return parse_ip6(c, p);
	return DROP_IP_HEADER;
}

#endif
