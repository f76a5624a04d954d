/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 4 to 6 for frames to many: multicast and broadcast. Refused, except in segments whose anchors say that they carry some.
 * There a group address stands for the gate's own address of that segment and version: a record that lets a station open
 * towards the gate's service lets it speak to the group as well, and what has no such record is refused. Such a packet goes
 * up the stack or nowhere; it is never forwarded and belongs to no flow, so nothing comes back by it.
 */
#ifndef SEKISHO_GROUP_H
#define SEKISHO_GROUP_H

#include "flow.h"
#include "station.h"

/* 224/4, the limited broadcast, the segment's directed broadcast; ff02::/16. */
INLINE int is_group(const struct segment *s, const struct packet *p)
{
	__be32 ip = p->dst.w[3];

	if (p->family == FAMILY_IP4)
		return (p->dst.b[12] & 0xf0) == 0xe0 || ip == 0xffffffff || (s->broadcast && ip == s->broadcast);
	return p->dst.b[0] == 0xff && p->dst.b[1] == 0x02;
}

/* May this frame with a group MAC go up? d gets rule and bandwidth class. */
INLINE int to_group(const struct tables *t, const struct ingress *in, const struct packet *p, struct decision *d)
{
	__u16 class = p->family == FAMILY_IP4 ? in->segment->group4 : in->segment->group6;
	struct cell *cell;
	__u64 left;
	int reason;

	/* A packet to one host in a frame to all is a trick (RFC 1122, 3.3.6). */
	if (!in->segment->multicast || !is_group(in->segment, p))
		return DROP_L2_MULTICAST;
	if (special_addr(&p->src, p->family))
		return DROP_SOURCE_ADDRESS;
	reason = station(t, in, p, &d->src_class);
	if (reason)
		return reason;
	/* Nobody sends a group more than fits into a frame. */
	if (!class || p->piece || p->proto == PROTO_TCP || (is_icmp(p) && !is_request(p)))
		return DROP_MULTICAST_REFUSED;
	cell = policy(t, d->src_class, class, p->proto, is_icmp(p) ? p->type : p->dport);
	if (!cell)
		return DROP_MULTICAST_REFUSED;
	d->dst_class = class;
	d->src_segment = d->dst_segment = in->number;
	d->rule = cell->rule;
	d->bwclass = cell->bwclass;
	return rule_in_force(t, cell->rule, &left);
}

#endif
