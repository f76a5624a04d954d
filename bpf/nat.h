/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 6 for tunnels: 1:1 mappings (NETMAP). Where a municipality's addresses are somebody else's, too, the region knows them by
 * others: towards one region, an address of "inside" appears as that of "outside" with the same host bits. The mapping is the
 * anchors' alone and holds no state: everything else (tables, flows, fragments, records, the stack) knows the inside address
 * only, so that what is proven of it is true of what crosses (I11).
 *
 *   out   after every check, on the way into the tunnel: the source, and the destination of what an ICMP error quotes
 *   in    once the packet is read and its segment known: the destination, and the source of what an ICMP error quotes
 *
 * An inside address that the region names itself is refused: it cannot know it. Checksums are carried on, not made anew: what
 * was wrong stays wrong. Of UDP, 0 stays 0 (RFC 768). Later fragments have no checksum but their header's.
 */
#ifndef SEKISHO_NAT_H
#define SEKISHO_NAT_H

#include "egress.h"
#include "parse.h"

/* How many mappings there are; without any, the verifier leaves all of this out. Set by the loader. */
const volatile __u32 mappings = 0;

struct nat_key {
	__u32 length;  /* 32 bits of the segment, and those of the prefix */
	__u32 segment; /* the anchors' own numbering: of the region */
	__be32 addr;
};

/* The other side of a prefix. */
struct nat_side {
	__be32 net;
	__be32 hosts; /* mask of the bits that stay */
};

/* By region and inside address; and by region and outside address. Written by the loader from the anchors. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1024);
	__type(key, struct nat_key);
	__type(value, struct nat_side);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
} nat_inside SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1024);
	__type(key, struct nat_key);
	__type(value, struct nat_side);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
} nat_outside SEC(".maps");

#define NAT_OUT 1
#define NAT_IN 0

/* Where the two addresses and the checksum stand in an IPv4 header. */
#define IP4_CHECK 10
#define IP4_SRC 12
#define IP4_DST 16

/* Where the checksum of a protocol stands that covers the addresses too; 0: it has none. */
INLINE __u32 check_over_addresses(__u8 proto)
{
	switch (proto) {
	case PROTO_TCP:
		return 16;
	case PROTO_UDP:
	case 33:  /* DCCP, RFC 4340 */
	case 136: /* UDP-Lite, RFC 3828 */
		return 6;
	}
	return 0;
}

/* What an address towards a region becomes: 1 with the new one, else 0. outward: NAT_OUT for one of ours that the region shall
 * not see. */
INLINE int mapped(__u32 region, __be32 addr, int outward, __be32 *to)
{
	struct nat_key key = {.length = 64, .segment = region, .addr = addr};
	struct nat_side *side =
		outward ? bpf_map_lookup_elem(&nat_inside, &key) : bpf_map_lookup_elem(&nat_outside, &key);

	if (!side)
		return 0;
	*to = side->net | (addr & side->hosts);
	return 1;
}

/* A checksum after some of what it covers has changed by "by", which bpf_csum_diff counted (RFC 1624, 3). */
INLINE __u16 check_after(__u16 check, __s64 by)
{
	__u64 sum = (__u16)~check + (__u64)(__u32)by;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

INLINE int is_ip4(const struct ip4_header *ip)
{
	return ip->version_ihl >> 4 == 4 && (ip->version_ihl & 0x0f) >= 5;
}

/* Writes one address of a packet, at field, and the checksums that cover it. */
INLINE int readdress(struct __sk_buff *skb, const struct ip4_header *ip, __u32 field, __be32 from, __be32 to)
{
	__u32 l4 = (ip->version_ihl & 0x0f) * 4, check = check_over_addresses(ip->proto);
	__u64 flags = BPF_F_PSEUDO_HDR | sizeof(to);

	if (ip->proto == PROTO_UDP)
		flags |= BPF_F_MARK_MANGLED_0;
	if (check && !(ip->fragment & bpf_htons(0x1fff)) && l4 + check + 2 <= bpf_ntohs(ip->total) &&
	    bpf_l4_csum_replace(skb, l4 + check, from, to, flags))
		return DROP_NAT_FAILED;
	if (bpf_l3_csum_replace(skb, IP4_CHECK, from, to, sizeof(to)) ||
	    bpf_skb_store_bytes(skb, field, &to, sizeof(to), 0))
		return DROP_NAT_FAILED;
	return PASS;
}

/* The packet that an ICMP error quotes, at "at", bears the same address on its other side. What the header of the quoted packet
 * gains at its address it loses at its checksum, so the error's own checksum feels only that of the protocol inside. A quote that
 * is too short to be one stays as it is; nobody trusts it. */
INLINE int requote(struct __sk_buff *skb, __u32 region, int outward, __u32 at, __u32 icmp, __u32 end)
{
	__u32 field = outward ? IP4_DST : IP4_SRC, off;
	struct ip4_header ip;
	__be32 from, to;
	__u16 old, fresh;
	__s64 by;

	if (at + sizeof(ip) > end || bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || !is_ip4(&ip))
		return PASS;
	from = outward ? ip.dst : ip.src;
	if (!mapped(region, from, outward, &to))
		return !outward && mapped(region, from, NAT_OUT, &to) ? DROP_NAT_INSIDE : PASS;
	by = bpf_csum_diff(&from, sizeof(from), &to, sizeof(to), 0);
	fresh = check_after(ip.check, by);
	if (bpf_skb_store_bytes(skb, at + field, &to, sizeof(to), BPF_F_RECOMPUTE_CSUM) ||
	    bpf_skb_store_bytes(skb, at + IP4_CHECK, &fresh, sizeof(fresh), BPF_F_RECOMPUTE_CSUM))
		return DROP_NAT_FAILED;
	off = check_over_addresses(ip.proto);
	if (!off || ip.fragment & bpf_htons(0x1fff))
		return PASS;
	off += at + (ip.version_ihl & 0x0f) * 4;
	if (off + sizeof(old) > end || bpf_skb_load_bytes(skb, off, &old, sizeof(old)))
		return PASS;
	if (ip.proto == PROTO_UDP && !old)
		return PASS;
	fresh = check_after(old, by);
	if (ip.proto == PROTO_UDP && !fresh)
		fresh = 0xffff;
	if (bpf_skb_store_bytes(skb, off, &fresh, sizeof(fresh), BPF_F_RECOMPUTE_CSUM) ||
	    bpf_l4_csum_replace(skb, icmp + 2, old, fresh, sizeof(fresh)))
		return DROP_NAT_FAILED;
	return PASS;
}

/* Translates a packet of a tunnel device. became: the address that takes the place of its source (NAT_OUT) or destination
 * (NAT_IN); left alone when there is no mapping for it. Pointers into the packet are void after. */
INLINE int translate(struct __sk_buff *skb, int outward, __be32 *became)
{
	struct ip4_header ip;
	struct anchor *region;
	__be32 from, to;
	__u32 l4;
	__u8 type;
	int reason;

	if (!mappings || bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) || !is_ip4(&ip))
		return PASS;
	region = anchor_of4(outward ? ip.dst : ip.src);
	if (!region || !region->segment || region->more)
		return PASS;
	from = outward ? ip.src : ip.dst;
	if (mapped(region->segment, from, outward, &to)) {
		reason = readdress(skb, &ip, outward ? IP4_SRC : IP4_DST, from, to);
		if (reason)
			return reason;
		*became = to;
	} else if (!outward && mapped(region->segment, from, NAT_OUT, &to)) {
		return DROP_NAT_INSIDE;
	}
	l4 = (ip.version_ihl & 0x0f) * 4;
	if (ip.proto != PROTO_ICMP || ip.fragment & bpf_htons(0x1fff) ||
	    bpf_skb_load_bytes(skb, l4, &type, sizeof(type)) || (type != 3 && type != 11 && type != 12))
		return PASS;
	return requote(skb, region->segment, outward, l4 + sizeof(struct icmp_header), l4, bpf_ntohs(ip.total));
}

#endif
