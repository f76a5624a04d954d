/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where a packet's fate is known. Nothing happens here: these are functions of their own only so that a capture
 * (capture.bpf.c) can attach itself to them. While none does, a packet pays for the call alone.
 */
#ifndef SEKISHO_VERDICT_H
#define SEKISHO_VERDICT_H

#include "event.h"

/* what: reason (0: allowed) | enum hook << 8. segments: source | destination << 16, 0: not known. The answer means nothing. */
__attribute__((noinline)) int verdict_xdp(struct xdp_md *ctx, __u32 what, __u32 rule, __u32 segments, __u32 epoch)
{
	asm volatile("" : : "r"(ctx), "r"(rule), "r"(segments), "r"(epoch));
	return what;
}

__attribute__((noinline)) int verdict_skb(struct __sk_buff *ctx, __u32 what, __u32 rule, __u32 segments, __u32 epoch)
{
	asm volatile("" : : "r"(ctx), "r"(rule), "r"(segments), "r"(epoch));
	return what;
}

INLINE __u32 what_of(__u32 reason, enum hook hook)
{
	return reason | (__u32)hook << 8;
}

INLINE __u32 segments_of(__u32 from, const struct packet *p)
{
	return from | (__u32)p->to << 16;
}

#endif
