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
 * side names the device, and that must be the one it came in by, under the flow's own segment.
 */
#ifndef SEKISHO_EXPRESS_H
#define SEKISHO_EXPRESS_H

#include "fast.h"

/* Ethernet, IPv4 and TCP without options; a shorter frame is no frame of Ethernet. */
#define EXPRESS_LEAST 54

/* Half words of the frame; clang would read what is only aligned to them in halves. */
INLINE __u32 word_at(const void *frame, __u32 offset)
{
	return *(const __u32 *)(frame + offset);
}

INLINE __u16 half_at(const void *frame, __u32 offset)
{
	return *(const __u16 *)(frame + offset);
}

/* A MAC as mac_word has it. */
INLINE __u64 mac_at(const void *frame, __u32 offset)
{
	return word_at(frame, offset) | (__u64)half_at(frame, offset + 4) << 32;
}

/* Is the frame one that the parser would call a whole TCP or UDP packet, with nothing in it that the fast path leaves to the
 * full one? length: bytes of the frame; total: by the IP header. */
INLINE int express_kind(const void *frame, __u32 length, __u32 total)
{
	const __u8 *b = frame;

	if (half_at(frame, 12) != bpf_htons(ETHERTYPE_IP4) || b[14] != 0x45 || half_at(frame, 20) & bpf_htons(0xbfff))
		return 0;
	if (b[22] <= 1 || total > length - sizeof(struct ether_header))
		return 0;
	if (b[23] == PROTO_TCP) {
		__u32 header = (b[46] >> 4) * 4;

		return header >= sizeof(struct tcp_header) && header + sizeof(struct ip4_header) <= total &&
		       !(b[47] & TCP_CHANGES);
	}
	if (b[23] == PROTO_UDP) {
		__u32 size = bpf_ntohs(half_at(frame, 38)), sport = bpf_ntohs(half_at(frame, 34)),
		      dport = bpf_ntohs(half_at(frame, 36));

		return size >= sizeof(struct udp_header) && size + sizeof(struct ip4_header) <= total &&
		       sport - 67 > 1 && dport - 67 > 1; /* of DHCP more is to be known */
	}
	return 0;
}

/* The line of these ends in the first of its sets, or null. Segments are not compared. */
INLINE struct line *express_line(__u32 a, __u32 b, __u32 ports, __u32 proto)
{
	__u64 h = hash_keys[0] + hash_keys[1] * a + hash_keys[2] * b + hash_keys[3] * ports + hash_keys[4] * proto;
	__u32 hash = stirred(h), number = hash & flow_mask4, first = hash >> 30, i;
	struct set4 *set = bpf_map_lookup_elem(&flows4, &number);

	if (!set)
		return 0;
#pragma unroll
	for (i = 0; i < WAYS; i++) {
		struct line *l = &set->way[(first + i) & (WAYS - 1)];

		if (l->a == a && l->b == b && l->ports == ports && l->tag >> TAG_PROTO == proto)
			return l;
	}
	return 0;
}

/* XDP_REDIRECT, or NOT_FAST with nothing changed. */
INLINE int express(struct xdp_md *ctx)
{
	void *frame = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 now = ticks(), length = end - frame, total, src, dst, a, b, ports, by_b, claim, tag, own, check, number;
	struct adjacency *from, *to;
	struct device *port;
	struct tables t;
	struct line *l;
	__u64 mac;
	__u8 zones;

	if (frame + EXPRESS_LEAST > end)
		return NOT_FAST;
	total = bpf_ntohs(half_at(frame, 16));
	if (!express_kind(frame, length, total))
		return NOT_FAST;
	src = word_at(frame, 26);
	dst = word_at(frame, 30);
	by_b = src > dst;
	a = by_b ? dst : src;
	b = by_b ? src : dst;
	ports = bpf_ntohs(half_at(frame, by_b ? 36 : 34)) | (__u32)bpf_ntohs(half_at(frame, by_b ? 34 : 36)) << 16;
	l = express_line(a, b, ports, ((__u8 *)frame)[23]);
	if (tables_now(&t) || !l)
		return NOT_FAST;

	claim = *(volatile __u32 *)&l->claim;
	tag = l->tag;
	zones = l->zones;
	if ((__u16)claim != CLAIM_LIVE || l->epoch != t.epoch || (__s32)(now - l->recheck_at) >= 0)
		return NOT_FAST;
	if (is_answer(l, by_b) && !(l->state & FLOW_ANSWERED))
		return NOT_FAST;
	from = adjacency_at(l->adjacency[by_b]);
	to = adjacency_at(l->adjacency[!by_b]);
	if (!from || !to || l->a != a || l->b != b || l->ports != ports || !line_same(l, claim))
		return NOT_FAST;

	own = from->from >> 48;
	port = bpf_map_lookup_elem(&devices, &own);
	number = by_b ? tag >> SEGMENT_BITS & SEGMENT_MASK : tag & SEGMENT_MASK;
	if (!port || port->ifindex != ctx->ingress_ifindex || mac_word(port->mac, 0) != mac_at(frame, 0))
		return NOT_FAST;
	if (t.head->devices[own & (MAX_DEVICES - 1)].segment != number || !number)
		return NOT_FAST;
	mac = mac_at(frame, 6);
	if (((from->to ^ mac) & MAC_MASK) || mac & 1 || !mac)
		return NOT_FAST;
	if (now - to->refreshed >= ADJACENCY_TRUST || total > to->to >> 48 || to->vlan || to->outer)
		return NOT_FAST;
	if (confirm_every && now - to->confirmed >= confirm_every && to->stack)
		return NOT_FAST; /* the kernel is to see this one */
	if (bpf_redirect_map(&egress_ports, to->ifindex, XDP_DROP) != XDP_REDIRECT)
		return NOT_FAST;

	check = half_at(frame, 24) + bpf_htons(0x0100); /* RFC 1624, as the kernel's ip_decrease_ttl */
	*(__u16 *)(frame + 24) = check + (check >= 0xffff);
	((__u8 *)frame)[22]--;
	*(__u32 *)frame = to->to;
	*(__u16 *)(frame + 4) = to->to >> 32;
	*(__u32 *)(frame + 6) = to->from;
	*(__u16 *)(frame + 10) = to->from >> 32;
	adjacency_used(from, now);
	adjacency_used(to, now);
	l->last = now;
	check = l->bytes_low[by_b];
	l->packets[by_b]++;
	l->bytes_low[by_b] = check + length;
	if (check + length < check)
		l->bytes_high[by_b]++;
	record(PASS, l->rule, 0);
	passed(zones >> (by_b ? 4 : 0) & 15, zones >> (by_b ? 0 : 4) & 15, length);
	return XDP_REDIRECT;
}

#endif
