/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Why a packet was refused. Every "no" has a number of its own; the name people see is the constant's in lower case with
 * hyphens and without DROP_ ("station-mac-mismatch"). dataplane/packet/reason.go holds the same list; a test compares them.
 * Numbers are part of the pinned counters' layout: append, never renumber.
 */
#ifndef SEKISHO_REASON_H
#define SEKISHO_REASON_H

#define MAX_REASONS 128 /* entries of what is kept by reason */

enum reason {
	PASS = 0,
	/* parse */
	DROP_FRAME_SHORT = 1,  /* ends inside the Ethernet header or VLAN tag */
	DROP_VLAN_STACKED = 2, /* a third tag, a service tag inside another, or one that stands alone */
	DROP_L2_SOURCE = 3,    /* source MAC is a group address or zero */
	DROP_ETHERTYPE = 4,    /* neither ARP, IPv4 nor IPv6 */
	DROP_ARP_MALFORMED = 5,
	DROP_IP_TRUNCATED = 6, /* frame ends before the length in the IP header */
	DROP_IP_HEADER = 7,    /* version, header length or total length impossible */
	DROP_FRAGMENT = 8,     /* a reserved bit is set, or a length that no middle one may have */
	DROP_IP6_EXTENSION = 9,
	DROP_L4_TRUNCATED = 10,
	DROP_L4_HEADER = 11, /* data offset, UDP length or protocol impossible here */
	/* segment */
	DROP_NO_POLICY = 12, /* nothing was loaded yet */
	DROP_SEGMENT_UNKNOWN = 13,
	/* neighbour */
	DROP_NEIGHBOUR_MALFORMED = 14,
	DROP_NEIGHBOUR_BINDING = 15, /* sender's MAC and address do not belong together here */
	DROP_NEIGHBOUR_FOREIGN = 16, /* asks for, or answers to, somebody who is not the gate */
	DROP_NEIGHBOUR_GRATUITOUS = 17,
	DROP_NEIGHBOUR_REFUSED = 18, /* router solicitation, advertisement, redirect */
	DROP_DHCP_REFUSED = 19,
	/* station */
	DROP_L2_MULTICAST = 20,
	DROP_L2_NOT_GATE = 21, /* unicast to a MAC that is not this port's */
	DROP_SOURCE_ADDRESS = 22,
	DROP_DESTINATION_ADDRESS = 23,
	DROP_SOURCE_IS_GATE = 24,
	DROP_STATION_UNREGISTERED = 25,
	DROP_STATION_MAC_MISMATCH = 26,
	DROP_SOURCE_NOT_IN_SEGMENT = 27,
	/* policy and flow */
	DROP_DESTINATION_UNKNOWN = 28,
	DROP_NO_CELL = 29,
	DROP_TCP_NOT_SYN = 30,
	DROP_ICMP_TYPE = 31,
	DROP_ICMP_NO_FLOW = 32,   /* echo reply that nobody asked for */
	DROP_FLOW_DIRECTION = 33, /* the answering side tries to open */
	DROP_FLOW_TABLE_FULL = 34,
	DROP_FLOW_TABLE_BUSY = 35,
	/* forward */
	DROP_VLAN_REWRITE = 36, /* no room in front of the frame for the tags that it must leave with */
	DROP_NO_ROUTE = 37,
	DROP_FORWARDING_DISABLED = 38,
	DROP_EGRESS_MISMATCH = 39, /* the route is not among what the destination's class permits */
	DROP_EGRESS_UNGUARDED = 40,
	DROP_METADATA_FAILED = 41,
	/* egress program and tcx */
	DROP_EGRESS_MALFORMED = 42,
	DROP_EGRESS_SOURCE = 43,      /* source in no segment of the anchors */
	DROP_EGRESS_DESTINATION = 44, /* destination in no segment of the anchors */
	DROP_EGRESS_WRONG_PORT = 45,
	DROP_EGRESS_WRONG_SOURCE = 46, /* source did not come from a port of its segment */
	DROP_EGRESS_ZONE_PAIR = 47,
	DROP_METADATA_MISSING = 48,
	DROP_VLAN_MISMATCH = 49,
	DROP_MARK_MISSING = 50,
	DROP_GATE_REFUSED = 51,       /* what the gate itself may not send, whatever the policy */
	DROP_FLOW_SEGMENT_QUOTA = 52, /* the initiator's segment holds its share of the flow table already */
	DROP_ZONE_PAIR = 53,          /* policy: no cell, and no record may ever join the two zones (I1, I13) */
	DROP_FRAGMENT_TINY = 54,      /* a fragment too small to be honest, or a first one without its whole header */
	DROP_FRAGMENT_OVERLAP = 55,   /* overlaps what came before, lies beyond 65,535 bytes, or in too many pieces */
	DROP_FRAGMENT_NO_FIRST = 56,  /* later fragment whose first was not let through here */
	DROP_FRAGMENT_TABLE_FULL = 57,
	DROP_ICMP_QUOTE = 58,           /* the quoted packet cannot be read, or is not of who this goes to */
	DROP_ICMP_ERROR_NO_FLOW = 59,   /* ICMP error about a packet of no live flow */
	DROP_ROUTER_ADVERTISEMENT = 60, /* from a segment that may not have a router */
	DROP_DHCP_SERVER = 61,          /* an answer of a DHCP server from a segment that may not have one */
	DROP_DUPLICATE_ADDRESS = 62,    /* somebody claims one of the gate's own addresses */
	DROP_FLOW_SEGMENT_RATE = 63,    /* the initiator's segment opens flows faster than it may */
	DROP_FLOW_STATION_QUOTA = 64,   /* the initiator holds as many flows as a station may */
	DROP_FLOW_STATION_RATE = 65,    /* the initiator opens flows faster than a station may */
	DROP_RECORD_TIME = 66,          /* records would permit it, but none is in force at this minute */
	DROP_CLOCK_BEHIND = 67,         /* the clock shows a time before one that has been: timed records are closed */
	DROP_MULTICAST_REFUSED = 68,    /* to a group, and no record opens the gate's own service for it */
	DROP_ZONE_ISOLATED = 69,        /* source or destination lies in a zone that people have cut off */
	DROP_NAT_INSIDE = 70,           /* a region names an address of ours that it knows by another only */
	DROP_NAT_FAILED = 71,           /* the packet cannot be given its other address */
	REASONS = 72,
};

#endif
