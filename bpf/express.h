/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The express lane: what nearly all packets are, decided from the frame itself in front of everything else. An untagged IPv4
 * frame without options that is a whole TCP or UDP packet in the middle of a known flow, to the gate's MAC, out again without
 * a tag. It decides as fast.h does, by the same line and the same two adjacencies, and only where that would let the packet
 * go; whatever does not fit, and every refusal, is left to the full path, which finds the packet as it came.
 *
 * Why apart: a parser that understands everything, and everything that it notes, costs more than the decision. So nothing
 * here is a function of its own, a helper that could be avoided, or a variable that needs memory. The flow's line is asked
 * for first, as it is what one waits for. Where the packet came in is read the other way round: the adjacency of its own
 * side names the device, and that must be the one it came in by, without tags: then the segment is the flow's own, as the
 * adjacency was settled for that segment by the same tables.
 */
#ifndef SEKISHO_EXPRESS_H
#define SEKISHO_EXPRESS_H

#include "fast.h"

/* Ethernet, IPv4 and TCP without options; a shorter frame is no frame of Ethernet. */
#define EXPRESS_LEAST 54

/* Parts of the frame; clang would read what is only aligned to two bytes in halves. */
INLINE __u64 double_at(const void *frame, __u32 offset)
{
	return *(const __u64 *)(frame + offset);
}

INLINE __u32 word_at(const void *frame, __u32 offset)
{
	return *(const __u32 *)(frame + offset);
}

INLINE __u16 half_at(const void *frame, __u32 offset)
{
	return *(const __u16 *)(frame + offset);
}

/* Bytes of a frame as a number: the first one lowest. */
#define BYTES(first, second) ((__u64)(first) | (__u64)(second) << 8)

/* From the EtherType on: IPv4, no options. From the pieces' field on: neither a piece nor the reserved bit. */
#define EXPRESS_TYPE (0x08 | 0x45 << 16)
#define EXPRESS_TYPE_MASK 0xffffff
#define EXPRESS_PIECE (BYTES(0xbf, 0xff))

/* Is the frame one that the parser would call a whole TCP or UDP packet, with nothing in it that the fast path leaves to the
 * full one? length: bytes of the frame; total: by the IP header; proto: by the same. Of the flags of TCP that mask names, those
 * of want must be set. */
INLINE int express_kind(const void *frame, __u32 length, __u32 total, __u32 proto, __u32 mask, __u32 want)
{
	if (((word_at(frame, 12) ^ EXPRESS_TYPE) & EXPRESS_TYPE_MASK) || (half_at(frame, 20) & EXPRESS_PIECE))
		return 0;
	if (((__u8 *)frame)[22] <= 1 || total > length - sizeof(struct ether_header))
		return 0;
	if (proto == PROTO_TCP) {
		__u32 flags = half_at(frame, 46), header = flags >> 2 & 0x3c;

		return header >= sizeof(struct tcp_header) && header + sizeof(struct ip4_header) <= total &&
		       (flags >> 8 & mask) == want;
	}
	if (proto == PROTO_UDP) {
		__u32 size = bpf_ntohs(half_at(frame, 38)), sport = bpf_ntohs(half_at(frame, 34)),
		      dport = bpf_ntohs(half_at(frame, 36));

		return size >= sizeof(struct udp_header) && size + sizeof(struct ip4_header) <= total &&
		       sport - 67 > 1 && dport - 67 > 1; /* of DHCP more is to be known */
	}
	return 0;
}

/* What the first three double words of a line must say: claim and tag, the ends, ports and epoch. */
struct expected {
	__u32 proto;
	__u32 a;
	__u32 b;
	__u32 ports;
};

#define LIVE_MASK (0xffffULL | (__u64)TAG_ENDS << 32)

_Static_assert(__builtin_offsetof(struct line, tag) == 4 && __builtin_offsetof(struct line, a) == 8 &&
		       __builtin_offsetof(struct line, b) == 12 && __builtin_offsetof(struct line, ports) == 16 &&
		       __builtin_offsetof(struct line, epoch) == 20,
	       "compared in double words");

/* The line that is probably that of these ends, or null. */
INLINE struct line *express_line(const struct expected *e)
{
	__u64 h = hash_keys[0] + hash_keys[1] * e->a + hash_keys[2] * e->b + hash_keys[3] * e->ports +
		  hash_keys[4] * e->proto;
	__u32 hash = stirred(h), number = set_of(hash, flow_sets4);
	struct set4 *set = bpf_map_lookup_elem(&flows4, &number);
	__u64 *prints = bpf_map_lookup_elem(&flow_prints4, &number), found;

	if (!set || !prints)
		return 0;
	(void)*(volatile __u64 *)&set->way[favoured(hash)]; /* on its way from memory while the fingerprints are */
	found = bytes_equal(*prints, fingerprint(hash));
	return found ? &set->way[lowest_byte(found) & (WAYS - 1)] : 0;
}

/* Is it? Segments are not compared. first: the line's first double word. */
INLINE int express_same(const struct line *l, const struct expected *e, __u64 first, __u32 epoch)
{
	const __u64 *w = (const void *)l;
	__u64 differs = (first ^ (CLAIM_LIVE | (__u64)e->proto << (32 + TAG_PROTO))) & LIVE_MASK;

	differs |= w[1] ^ (e->a | (__u64)e->b << 32);
	differs |= w[2] ^ (e->ports | (__u64)epoch << 32);
	return !differs;
}

/* One hop fewer to live, and the MACs of the next one. frame: EXPRESS_LEAST bytes of it are there. */
INLINE void express_rewrite(void *frame, const struct adjacency *to)
{
	__u32 check = half_at(frame, 24) + bpf_htons(0x0100); /* RFC 1624, as the kernel's ip_decrease_ttl */

	*(__u16 *)(frame + 24) = check + ((check + 1) >> 16);
	((__u8 *)frame)[22]--;
	*(__u64 *)frame = (to->to & MAC_MASK) | to->from << 48;
	*(__u32 *)(frame + 8) = to->from >> 16;
}

/* The two ends of a whole packet of IPv4. 1: the source is B. */
INLINE __u32 express_ends(const void *frame, struct expected *e)
{
	__u32 by_b, swap;

	/* Which end is A, without a branch: it is as random as traffic. */
	e->a = word_at(frame, 26);
	e->b = word_at(frame, 30);
	by_b = ((__u64)e->b - e->a) >> 63;
	asm volatile("" : "+r"(by_b));
	swap = (e->a ^ e->b) & -by_b;
	e->a ^= swap;
	e->b ^= swap;
	e->ports = word_at(frame, 34);
	e->ports = e->ports >> (by_b << 4) | e->ports << ((32 - (by_b << 4)) & 31);
	e->ports = (e->ports & 0x00ff00ff) << 8 | (e->ports >> 8 & 0x00ff00ff);
	e->proto = ((__u8 *)frame)[23];
	return by_b;
}

/* XDP_REDIRECT, or NOT_FAST with nothing changed. */
INLINE int express(struct xdp_md *ctx)
{
	void *frame = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 now = ticks(), length = end - frame, total, by_b, own, before;
	struct adjacency *from, *to;
	struct expected e;
	struct device *port;
	struct tables t;
	struct line *l;
	__u64 first, mac;

	if (frame + EXPRESS_LEAST > end)
		return NOT_FAST;
	by_b = express_ends(frame, &e);
	total = bpf_ntohs(half_at(frame, 16));
	if (!express_kind(frame, length, total, e.proto, TCP_CHANGES, 0))
		return NOT_FAST;
	l = express_line(&e);
	if (tables_now(&t) || !l)
		return NOT_FAST;

	first = *(volatile __u64 *)l;
	if (!express_same(l, &e, first, t.epoch) || !line_fresh(l, now))
		return NOT_FAST;
	/* An answer, and nobody has answered yet; or a zone is cut off. */
	if (((by_b ^ l->state >> 4) & ~(l->state >> 3) & 1) | zones_cut(l->zones))
		return NOT_FAST;
	/* Number 0 names no way: its entry has no MTU, and no MAC. */
	own = l->adjacency[by_b & 1];
	from = bpf_map_lookup_elem(&adjacencies, &own);
	own = l->adjacency[~by_b & 1];
	to = bpf_map_lookup_elem(&adjacencies, &own);
	if (!from || !to || !line_same(l, first))
		return NOT_FAST;

	own = from->from >> 48;
	port = bpf_map_lookup_elem(&devices, &own);
	mac = double_at(frame, 0);
	if (!port || port->ifindex != ctx->ingress_ifindex || (double_at(port->mac, 0) ^ mac) & MAC_MASK)
		return NOT_FAST;
	mac = mac >> 48 | (__u64)word_at(frame, 8) << 16;
	if (((from->to ^ mac) & MAC_MASK) || mac & 1 || !mac || *(__u32 *)&from->vlan)
		return NOT_FAST;
	if (now - to->refreshed >= ADJACENCY_TRUST || total > to->to >> 48 || *(__u32 *)&to->vlan ||
	    !leads_on(own, FAMILY_IP4, now))
		return NOT_FAST;
	if (confirm_every && now - to->confirmed >= confirm_every && to->stack)
		return NOT_FAST; /* the kernel is to see this one */
	if (bpf_redirect_map(&egress_ports, to->ifindex, XDP_DROP) != XDP_REDIRECT)
		return NOT_FAST;

	express_rewrite(frame, to);
	adjacency_used(from, now);
	adjacency_used(to, now);
	l->last = now;
	before = l->bytes_low[by_b & 1];
	l->packets[by_b & 1]++;
	l->bytes_low[by_b & 1] = before + length;
	if (before + length < before)
		l->bytes_high[by_b & 1]++;
	record(PASS, l->rule, 0);
	passed(l->zones >> (by_b << 2) & 15, l->zones >> (4 - (by_b << 2)) & 15, length);
	return XDP_REDIRECT;
}

#endif
