/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Isolation: zones that people have cut off in an emergency. Whatever a record, a flow or the gate itself permits, nothing goes
 * from or to a segment of such a zone, but ARP and neighbour discovery with the gate. A cut zone of lines (ZONE_UPLINK) takes
 * with it what goes through the tunnels on them.
 *
 * One word holds a bit for each zone. The loader sets it before the programs guard anything, and changes it by one write
 * while they run: from then on every packet that is begun is judged by it, of live flows too. The egress program has a word
 * of its own (egress.h).
 */
#ifndef SEKISHO_ISOLATE_H
#define SEKISHO_ISOLATE_H

#include "types.h"

/* Bit by zone: it is cut off. Written by the loader. */
volatile __u32 isolated = 0;

/* Is one of the two zones cut off? zones: as in struct line. Without a branch: it is asked for every packet. */
INLINE __u32 zones_cut(__u32 zones)
{
	__u32 bits = isolated;

	return (bits >> (zones & 15) | bits >> (zones >> 4 & 15)) & 1;
}

/* Is a segment cut off? Null is not: then another step refuses. */
INLINE int segment_cut(const struct segment *s)
{
	__u32 bits = isolated;

	return s && bits && (bits >> (s->zone & (MAX_ZONES - 1)) | (s->tunnel && bits >> ZONE_UPLINK)) & 1;
}

#endif
