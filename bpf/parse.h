/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 1: parse. One cursor over the frame; everything that decides later is copied into struct packet.
 *
 * What is not understood to its last header is refused: a third VLAN tag, IPv6 extension headers that are unknown, too many
 * or too long, source routes, a length that contradicts another. IPv4 options and the three extension headers that routers
 * and hosts do send are skipped by their length. Frames may be longer than the packet in them (padding), never shorter.
 *
 * A first fragment must hold everything that a whole packet would be judged by; what later ones may do stands in fragment.h.
 */
#ifndef SEKISHO_PARSE_H
#define SEKISHO_PARSE_H

#include "types.h"

#define IP6_EXTENSIONS 4       /* more than four extension headers are refused */
#define IP6_EXTENSION_MOST 264 /* bytes of one */
#define IP4_OPTIONS 40         /* bytes, and so options, at most */
#define FRAGMENT_LEAST 64      /* bytes behind the headers that every fragment but the last must carry */

#define IP6_HOP_BY_HOP 0
#define IP6_FRAGMENT 44
#define IP6_OPTIONS 60

struct ether_header {
	__u8 dst[MAC_LEN];
	__u8 src[MAC_LEN];
	__be16 type;
};

struct vlan_tag {
	__be16 tci;
	__be16 type;
};

struct ip6_fragment {
	__u8 next;
	__u8 reserved;
	__be16 place; /* offset in bytes, two reserved bits, "more" */
	__be32 id;
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

struct sctp_header {
	__be16 sport;
	__be16 dport;
	__be32 tag;
	__be32 check;
};

struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 check;
	__be16 id; /* of an echo */
	__be16 sequence;
};

/* The packet that this CPU decides on, out of the way of the stack's 512 bytes: no program here interrupts another on its
 * CPU. Nothing of it lives longer than one decision. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet);
} packets SEC(".maps");

/* Never null; the verifier does not know. */
INLINE struct packet *fresh_packet(__u32 length)
{
	__u32 zero = 0;
	struct packet *p = bpf_map_lookup_elem(&packets, &zero);

	if (p) {
		__builtin_memset(p, 0, sizeof(*p));
		p->length = length;
	}
	return p;
}

/* Where the parser stands. left counts the bytes of the packet from pos on; the readable memory ends at end. */
struct cursor {
	void *start;
	void *pos;
	void *end;
	__u32 left;
};

/* A cursor behind the first eight bytes of a parsed packet's L4 header: all of ICMP's and UDP's. */
INLINE void behind_head(struct cursor *c, void *data, void *end, const struct packet *p)
{
	c->start = data;
	c->pos = data + (p->l4 & 0x7ff) + sizeof(struct udp_header);
	c->end = end;
	c->left = p->l4_length - sizeof(struct udp_header);
}

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

/* How far a walk over options or extension headers has come. It is kept in memory where the verifier does not follow the
 * number (in two bytes inside a word): so every round looks alike to it, and it need not try every way to come there. */
INLINE __u32 walked(const struct packet *p)
{
	return *(const volatile __u16 *)&p->walked & 0x7ff;
}

INLINE void walk_on(struct packet *p, __u32 to)
{
	*(volatile __u16 *)&p->walked = to;
}

/* A header that is not there in full: an honest sender does not cut a packet inside it. */
INLINE int cut_short(const struct packet *p)
{
	return p->piece == PIECE_FIRST ? DROP_FRAGMENT_TINY : DROP_L4_TRUNCATED;
}

INLINE int parse_l4(struct cursor *c, struct packet *p)
{
	p->l4_length = c->left;
	p->l4 = c->pos - c->start;
	if (p->piece == PIECE_LATER)
		return PASS;
	if (p->proto == PROTO_TCP) {
		struct tcp_header *tcp = take(c, sizeof(*tcp));
		__u32 header;

		if (!tcp)
			return cut_short(p);
		header = (tcp->offset >> 4) * 4;
		if (header < sizeof(*tcp))
			return DROP_L4_HEADER;
		if (header > p->l4_length)
			return p->piece == PIECE_FIRST ? DROP_FRAGMENT_TINY : DROP_L4_HEADER;
		p->sport = bpf_ntohs(tcp->sport);
		p->dport = bpf_ntohs(tcp->dport);
		p->tcp_flags = tcp->flags;
		return PASS;
	}
	if (p->proto == PROTO_UDP) {
		struct udp_header *udp = take(c, sizeof(*udp));
		__u32 length;

		if (!udp)
			return cut_short(p);
		length = bpf_ntohs(udp->length);
		if (length < sizeof(*udp) || (length > p->l4_length && p->piece == PIECE_WHOLE))
			return DROP_L4_HEADER;
		p->sport = bpf_ntohs(udp->sport);
		p->dport = bpf_ntohs(udp->dport);
		return PASS;
	}
	if (p->proto == PROTO_SCTP) {
		struct sctp_header *sctp = take(c, sizeof(*sctp));

		if (!sctp)
			return cut_short(p);
		p->sport = bpf_ntohs(sctp->sport);
		p->dport = bpf_ntohs(sctp->dport);
		return PASS;
	}
	if (p->proto == PROTO_ICMP || p->proto == PROTO_ICMP6) {
		struct icmp_header *icmp;

		if ((p->proto == PROTO_ICMP) != (p->family == FAMILY_IP4))
			return DROP_L4_HEADER;
		icmp = take(c, sizeof(*icmp));
		if (!icmp)
			return cut_short(p);
		p->type = icmp->type;
		p->code = icmp->code;
		p->sport = p->dport = bpf_ntohs(icmp->id);
		return PASS;
	}
	return PASS;
}

/* Notes which piece of a packet this is: size bytes at the place "at". before: bytes of the packet in front of what was cut
 * up, as its length field would count them. */
INLINE int note_piece(struct packet *p, __u32 before, __u32 at, __u32 size, int more)
{
	if (more && size % 8)
		return DROP_FRAGMENT;
	if (more ? size < FRAGMENT_LEAST : !size)
		return DROP_FRAGMENT_TINY;
	if (before + at + size > 65535)
		return DROP_FRAGMENT_OVERLAP;
	p->piece = at ? PIECE_LATER : PIECE_FIRST;
	p->piece_more = !!more;
	p->piece_at = at;
	p->piece_to = at + size;
	return PASS;
}

/* IPv4 options, length bytes from pos on. Source routes would make the destination another than the one that is judged. */
INLINE int parse_ip4_options(struct packet *p, const __u8 *pos, const void *end, __u32 length)
{
	__u32 i;

	for (i = 0; i < IP4_OPTIONS; i++) {
		__u32 at = walked(p), size = 1;
		const __u8 *option = pos + at;

		if (at >= length)
			break;
		if ((const void *)(option + 1) > end)
			return DROP_IP_TRUNCATED;
		if (*option == 0)
			break;
		if (*option == 131 || *option == 137)
			return DROP_IP_HEADER;
		if (*option != 1) {
			if (at + 2 > length || (const void *)(option + 2) > end)
				return DROP_IP_HEADER;
			size = option[1];
			if (size < 2 || at + size > length)
				return DROP_IP_HEADER;
		}
		walk_on(p, at + size);
	}
	walk_on(p, 0);
	return PASS;
}

INLINE int parse_ip4(struct cursor *c, struct packet *p)
{
	__u32 left = c->left, header, total, place;
	struct ip4_header *ip = take(c, sizeof(*ip));
	int reason;

	if (!ip)
		return DROP_IP_TRUNCATED;
	header = (ip->version_ihl & 0x0f) * 4;
	total = bpf_ntohs(ip->total);
	if (ip->version_ihl >> 4 != 4 || header < sizeof(*ip) || total < header)
		return DROP_IP_HEADER;
	if (left < total)
		return DROP_IP_TRUNCATED;
	place = bpf_ntohs(ip->fragment);
	if (place & 0x8000)
		return DROP_FRAGMENT;
	p->family = FAMILY_IP4;
	p->proto = ip->proto;
	p->ttl = ip->ttl;
	p->tos = ip->tos;
	p->l3_length = total;
	map_ip4(&p->src, ip->src);
	map_ip4(&p->dst, ip->dst);
	if (place & 0x3fff) {
		p->piece_id = bpf_ntohs(ip->id);
		p->piece_proto = ip->proto;
		reason = note_piece(p, header, (place & 0x1fff) * 8, total - header, place & 0x2000);
		if (reason)
			return reason;
	}
	if (header > sizeof(*ip)) {
		reason = parse_ip4_options(p, c->pos, c->end, header - sizeof(*ip));
		if (reason)
			return reason;
	}
	c->pos += header - sizeof(*ip);
	c->left = total - header;
	return parse_l4(c, p);
}

/* Those that are skipped: hop-by-hop options, fragment, destination options. */
INLINE int is_extension(__u8 next)
{
	return next == IP6_HOP_BY_HOP || next == IP6_FRAGMENT || next == IP6_OPTIONS;
}

/* Routing of any type, mobility, HIP, shim6: nothing that passes here has a use for them. */
INLINE int is_refused_extension(__u8 next)
{
	return next == 43 || next == 135 || next == 139 || next == 140;
}

/* The fragment header at h, which begins "at" bytes behind the fixed one and has "left" bytes of the packet behind it. */
INLINE int parse_ip6_fragment(const struct ip6_fragment *h, __u32 at, __u32 left, struct packet *p)
{
	__u32 place = bpf_ntohs(h->place);

	if (p->ip6_fragment)
		return DROP_IP6_EXTENSION;
	p->ip6_fragment = 1;
	if (h->reserved || place & 6)
		return DROP_FRAGMENT;
	if (!(place & 0xfff9))
		return PASS; /* atomic (RFC 6946): a whole packet */
	p->piece_id = bpf_ntohl(h->id);
	p->piece_proto = h->next;
	return note_piece(p, at, place & 0xfff8, left, place & 1);
}

/* Walks the extension headers behind the fixed one. Leaves the cursor at what follows them, and that protocol in p->proto. */
INLINE int parse_extensions(struct cursor *c, struct packet *p, __u8 next)
{
	const __u8 *base = c->pos;
	__u32 i, at;
	int reason;

	for (i = 0; i < IP6_EXTENSIONS && is_extension(next); i++) {
		const __u8 *h;
		__u32 size = 8;

		at = walked(p);
		h = base + at;
		if (next == IP6_HOP_BY_HOP && at)
			return DROP_IP6_EXTENSION;
		if (at + 8 > c->left || (const void *)(h + 8) > c->end)
			return p->piece ? DROP_FRAGMENT_TINY : DROP_IP6_EXTENSION;
		if (next == IP6_FRAGMENT) {
			reason = parse_ip6_fragment((const void *)h, at, c->left - at - 8, p);
			if (reason)
				return reason;
		} else {
			size = h[1] * 8 + 8;
			if (size > IP6_EXTENSION_MOST)
				return DROP_IP6_EXTENSION;
			if (at + size > c->left)
				return p->piece ? DROP_FRAGMENT_TINY : DROP_IP6_EXTENSION;
		}
		next = h[0];
		walk_on(p, at + size);
		if (p->piece == PIECE_LATER)
			break;
	}
	if (p->piece != PIECE_LATER && (is_extension(next) || is_refused_extension(next)))
		return DROP_IP6_EXTENSION;
	at = walked(p);
	c->pos += at;
	c->left -= at;
	p->proto = next;
	return PASS;
}

INLINE int parse_ip6(struct cursor *c, struct packet *p)
{
	struct ip6_header *ip = take(c, sizeof(*ip));
	__u32 payload, first;
	int reason;

	if (!ip)
		return DROP_IP_TRUNCATED;
	first = bpf_ntohl(ip->version_class_flow);
	payload = bpf_ntohs(ip->payload);
	if (first >> 28 != 6)
		return DROP_IP_HEADER;
	if (c->left < payload)
		return DROP_IP_TRUNCATED;
	p->family = FAMILY_IP6;
	p->ttl = ip->hops;
	p->tos = first >> 20;
	p->l3_length = sizeof(*ip) + payload;
	p->src = ip->src;
	p->dst = ip->dst;
	c->left = payload;
	reason = parse_extensions(c, p, ip->next);
	if (!reason)
		reason = parse_l4(c, p);
	if (reason)
		return reason;
	/* Neighbour discovery has no use for extension headers, and attackers have (RFC 6980). */
	return p->walked && p->proto == PROTO_ICMP6 && p->type >= ND_FIRST && p->type <= ND_LAST ? DROP_IP6_EXTENSION
												 : PASS;
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

INLINE int is_tag(__be16 type)
{
	return type == bpf_htons(ETHERTYPE_VLAN) || type == bpf_htons(ETHERTYPE_SVLAN);
}

/* Tags as they stood in the frame become tags that count. An identifier of 0 carries a priority only: no tag. service: the
 * first one is of 802.1ad, which only ever stands around another. */
INLINE int note_tags(struct packet *p, __u16 first, __u16 second, int service)
{
	if (service && first && !second)
		return DROP_VLAN_STACKED;
	p->outer = second ? first : 0;
	p->vlan = second ? second : first;
	return PASS;
}

/* At most two tags; the second is always of 802.1Q. Leaves the EtherType behind them. */
INLINE int parse_tags(struct cursor *c, struct packet *p, __be16 *type)
{
	int service = *type == bpf_htons(ETHERTYPE_SVLAN);
	struct vlan_tag *tag;
	__u16 second = 0;

	if (!is_tag(*type))
		return PASS;
	tag = take(c, sizeof(*tag));
	if (!tag)
		return DROP_FRAME_SHORT;
	p->tag = bpf_ntohs(tag->tci) & 0x0fff;
	p->l3 += sizeof(*tag);
	*type = tag->type;
	if (*type == bpf_htons(ETHERTYPE_VLAN)) {
		tag = take(c, sizeof(*tag));
		if (!tag)
			return DROP_FRAME_SHORT;
		second = bpf_ntohs(tag->tci) & 0x0fff;
		p->l3 += sizeof(*tag);
		*type = tag->type;
	}
	return is_tag(*type) ? DROP_VLAN_STACKED : note_tags(p, p->tag, second, service);
}

INLINE int parse_frame(struct cursor *c, struct packet *p)
{
	struct ether_header *eth = take(c, sizeof(*eth));
	__be16 type;
	int reason;

	if (!eth)
		return DROP_FRAME_SHORT;
	__builtin_memcpy(p->smac, eth->src, MAC_LEN);
	__builtin_memcpy(p->dmac, eth->dst, MAC_LEN);
	type = eth->type;
	p->l3 = sizeof(*eth);
	reason = parse_tags(c, p, &type);
	if (reason)
		return reason;
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

/*
 * The parser is a function of its own to the verifier, once for each kind of program: it is checked apart from the steps
 * behind it, and those know nothing of the packet but what is in p. p->length must be set; nothing else of p is read.
 */
int __noinline parse_xdp(struct xdp_md *ctx, struct packet *p)
{
	struct cursor c = {
		.start = (void *)(long)ctx->data,
		.pos = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};

	if (!p)
		return DROP_FRAME_SHORT;
	c.left = p->length;
	return parse_frame(&c, p);
}

/* layer2: the frame begins with Ethernet. */
int __noinline parse_skb(struct __sk_buff *skb, struct packet *p, int layer2)
{
	struct cursor c = {
		.start = (void *)(long)skb->data,
		.pos = (void *)(long)skb->data,
		.end = (void *)(long)skb->data_end,
		.left = skb->len,
	};

	if (!p)
		return DROP_FRAME_SHORT;
	return layer2 ? parse_frame(&c, p) : parse_bare(&c, p);
}

#endif
