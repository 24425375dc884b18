# SPDX-License-Identifier: GPL-2.0-or-later
# expectations.py - what every state answers to every event, by RFC; no code that speaks, only tables
#
# A cell is (answer, state afterwards, where that stands). Alternatives are separated by '/'. Answers:
#   none, ack, ack+N (acknowledges N bytes more than before), synack, any
#   rst      <SEQ=SEG.ACK><CTL=RST>
#   rstack   <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>
# State '=': as before; '=/CLOSED': or gone. LISTEN and CLOSED both mean that there is no record.

STATES = ["CLOSED", "LISTEN", "SYN-SENT", "SYN-RECEIVED", "SYN-RECEIVED (active)", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2",
          "FIN-WAIT-2 (closed)", "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT"]
FIN_TAKEN = {"CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT"}
NOTHING_IN_FLIGHT = {"CLOSED", "LISTEN", "FIN-WAIT-2", "FIN-WAIT-2 (closed)", "TIME-WAIT"}

# name: what is sent. RCV.NXT, RCV.WND, SND.UNA and SND.NXT are npp's; data is 100 bytes; the ACK field of
# data is SND.UNA, where only SND.NXT can be right (half-open) that.
EVENTS = {
    "syn": "SYN at RCV.NXT",
    "syn_old": "the first SYN again",
    "syn_above": "SYN beyond the window",
    "syn_fin": "SYN and FIN at RCV.NXT",
    "synack": "SYN-ACK at RCV.NXT, ACK of SND.NXT",
    "synack_old": "SYN-ACK at the first SYN's number",
    "synack_bad": "SYN-ACK, ACK beyond SND.NXT",
    "ack": "ACK of SND.NXT",
    "ack_same": "ACK of SND.UNA",
    "ack_below": "ACK, sequence number below the window",
    "ack_above": "ACK, sequence number beyond the window",
    "ack_of_unsent": "ACK beyond SND.NXT",
    "ack_of_old": "ACK of SND.UNA - 1",
    "ack_of_iss": "ACK of npp's initial number",
    "ack_of_ancient": "ACK below SND.UNA - MAX.SND.WND",
    "fin": "FIN at RCV.NXT, ACK of SND.NXT",
    "fin_same": "FIN at RCV.NXT, ACK of SND.UNA",
    "fin_old": "FIN at RCV.NXT - 1",
    "fin_gap": "FIN at RCV.NXT + 100",
    "fin_above": "FIN beyond the window",
    "fin_noack": "FIN without ACK",
    "data_fin": "data with FIN at RCV.NXT",
    "rst": "RST at RCV.NXT",
    "rst_ack": "RST at RCV.NXT, ACK of SND.NXT",
    "rst_ack_bad": "RST at RCV.NXT, ACK beyond SND.NXT",
    "rst_in": "RST in the window",
    "rst_below": "RST below the window",
    "rst_edge": "RST at the window's right edge",
    "rst_above": "RST beyond the window",
    "rst_bad": "RST at RCV.NXT, wrong checksum",
    "data": "data at RCV.NXT",
    "data_opts": "data with an unknown option",
    "data_below": "data that ends at RCV.NXT",
    "data_overlap": "data around RCV.NXT",
    "data_gap": "data at RCV.NXT + 200",
    "data_edge": "data at the window's right edge",
    "data_above": "data beyond the window",
    "data_noack": "data without ACK",
    "data_urg": "data at RCV.NXT, its 40th byte urgent",
    "urg": "ACK of SND.UNA, urgent data to come",
    "data_bad": "data at RCV.NXT, wrong checksum",
    "data_bad_opts": "data with an option of length 0",
    "null": "no flags",
    "icmp_soft_net": "ICMP net unreachable / no route",
    "icmp_soft_host": "ICMP host / address unreachable",
    "icmp_admin": "ICMP administratively prohibited",
    "icmp_time": "ICMP time exceeded",
    "icmp_param": "ICMP parameter problem",
    "icmp_quench": "ICMP source quench (IPv4)",
    "icmp_hard_port": "ICMP port unreachable",
    "icmp_hard_proto": "ICMP protocol unreachable / unknown next header",
    "icmp_big": "ICMP fragmentation needed / packet too big",
    "icmp_big_fits": "ICMP too big, quotes a packet that fits",
    "icmp_soft_outside": "ICMP host unreachable, quotes what is not in flight",
    "icmp_hard_outside": "ICMP port unreachable, quotes what is not in flight",
    "icmp_big_outside": "ICMP too big, quotes what is not in flight",
}
ICMP_IN = [e for e in EVENTS if e.startswith("icmp") and not e.endswith("outside")]

# ---- states with a window: ESTABLISHED, and what others have in common with it (RFC 9293, 3.10.7.4)
SYNCHRONIZED = {
    "syn": ("ack", "=", "5961 4.2"),
    "syn_old": ("ack", "=", "5961 4.2"),
    "syn_above": ("ack", "=", "5961 4.2"),
    "syn_fin": ("ack", "=", "5961 4.2"),
    "synack": ("ack", "=", "5961 4.2"),
    "synack_old": ("ack", "=", "9293 3.10.7.4"),
    "synack_bad": ("ack", "=", "5961 4.2"),
    "ack": ("none", "=", "9293 3.10.7.4 (5)"),
    "ack_same": ("none", "=", "9293 3.10.7.4 (5)"),
    "ack_below": ("ack", "=", "9293 3.10.7.4 (1)"),
    "ack_above": ("ack", "=", "9293 3.10.7.4 (1)"),
    "ack_of_unsent": ("ack", "=", "9293 3.10.7.4 (5)"),
    "ack_of_old": ("none", "=", "5961 5.2"),
    "ack_of_iss": ("ack", "=", "5961 5.2"),
    "ack_of_ancient": ("ack", "=", "5961 5.2"),
    "fin": ("ack+1", "CLOSE-WAIT", "9293 3.10.7.4 (8)"),
    "fin_same": ("ack+1", "CLOSE-WAIT", "9293 3.10.7.4 (8)"),
    "fin_old": ("ack", "=", "9293 3.10.7.4 (1)"),
    "fin_gap": ("ack", "=", "9293 3.10.7.4; 5681 4.2"),
    "fin_above": ("ack", "=", "9293 3.10.7.4 (1)"),
    "fin_noack": ("none", "=", "9293 3.10.7.4 (5)"),
    "data_fin": ("ack+101", "CLOSE-WAIT", "9293 3.10.7.4 (8)"),
    "rst": ("none", "CLOSED", "9293 3.10.7.4 (2); 5961 3.2"),
    "rst_ack": ("none", "CLOSED", "9293 3.10.7.4 (2); 5961 3.2"),
    "rst_ack_bad": ("none", "CLOSED", "9293 3.10.7.4 (2); 5961 3.2"),
    "rst_in": ("ack", "=", "5961 3.2"),
    "rst_below": ("none", "=", "5961 3.2"),
    "rst_edge": ("none", "=", "5961 3.2"),
    "rst_above": ("none", "=", "5961 3.2"),
    "rst_bad": ("none", "=", "9293 3.1 MUST-3"),
    "data": ("ack+100", "=", "9293 3.10.7.4 (7)"),
    "data_opts": ("ack+100", "=", "9293 3.1 MUST-6"),
    "data_below": ("ack", "=", "9293 3.10.7.4 (1)"),
    "data_overlap": ("ack+50", "=", "9293 3.10.7.4 (1)"),
    "data_gap": ("ack", "=", "9293 3.10.7.4; 5681 4.2"),
    "data_edge": ("ack", "=", "9293 3.10.7.4 (1)"),
    "data_above": ("ack", "=", "9293 3.10.7.4 (1)"),
    "data_noack": ("none", "=", "9293 3.10.7.4 (5)"),
    "data_bad": ("none", "=", "9293 3.1 MUST-3"),
    "data_bad_opts": ("any", "=", "9293 3.1 MUST-7"),
    "null": ("none", "=", "9293 3.10.7.4 (5)"),
    "icmp_soft_net": ("none", "=", "9293 3.9.2.2 MUST-56"),
    "icmp_soft_host": ("none", "=", "9293 3.9.2.2 MUST-56"),
    "icmp_admin": ("none", "=", "5927 5.2"),
    "icmp_time": ("none", "=", "9293 3.9.2.2 MUST-56"),
    "icmp_param": ("none", "=", "9293 3.9.2.2 MUST-56"),
    "icmp_quench": ("none", "=", "6633 2"),
    "icmp_hard_port": ("none", "=", "5927 5.2"),
    "icmp_hard_proto": ("none", "=", "5927 5.2"),
    "icmp_big": ("none", "=", "1191 6.5; 8201 5.4"),
    "icmp_big_fits": ("none", "=", "5927 7.2"),
    "icmp_soft_outside": ("none", "=", "5927 4.1"),
    "icmp_hard_outside": ("none", "=", "5927 4.1"),
    "icmp_big_outside": ("none", "=", "5927 4.1"),
}

# The peer's FIN was taken: text and another FIN are ignored, the state is kept.
IGNORES = {e: ("ack/none", "=", "9293 3.10.7.4 (7)") for e in ("data", "data_opts", "data_overlap", "data_gap")}
IGNORES |= {e: ("any", "=", "9293 3.10.7.4 (8)") for e in ("fin", "fin_same", "fin_gap", "data_fin")}

# A half-open connection: SND.UNA is the SYN-ACK's own number, so an ACK of it is not acceptable.
HALF_OPEN = {
    "syn": ("ack/none", "=/CLOSED", "9293 3.10.7.4 (4); 5961 4.2"),
    "syn_old": ("ack/synack", "=", "9293 3.10.7.4 (1)"),
    "syn_above": ("ack", "=", "9293 3.10.7.4 (1)"),
    "syn_fin": ("ack/none", "=/CLOSED", "9293 3.10.7.4 (4); 5961 4.2"),
    "synack": ("ack/none", "=/CLOSED", "9293 3.10.7.4 (4); 5961 4.2"),
    "synack_old": ("ack", "=", "9293 3.10.7.4 (1)"),
    "synack_bad": ("ack/none/rst", "=/CLOSED", "9293 3.10.7.4 (4)"),
    "ack": ("none", "ESTABLISHED", "9293 3.10.7.4 (5)"),
    "ack_same": ("rst", "=", "9293 3.10.7.4 (5)"),
    "ack_of_unsent": ("rst", "=", "9293 3.10.7.4 (5)"),
    "ack_of_old": ("rst", "=", "9293 3.10.7.4 (5)"),
    "ack_of_iss": ("rst", "=", "9293 3.10.7.4 (5)"),
    "ack_of_ancient": ("rst", "=", "9293 3.10.7.4 (5)"),
    "fin_same": ("rst", "=", "9293 3.10.7.4 (5)"),
    "fin_gap": ("ack", "ESTABLISHED", "9293 3.10.7.4 (5)"),
    "data": ("ack+100", "ESTABLISHED", "9293 3.10.7.4 (5, 7)"),
    "data_opts": ("ack+100", "ESTABLISHED", "9293 3.1 MUST-6"),
    "data_overlap": ("ack+50", "ESTABLISHED", "9293 3.10.7.4 (1, 5)"),
    "data_gap": ("ack", "ESTABLISHED", "9293 3.10.7.4 (5)"),
    "icmp_hard_port": ("none", "=/CLOSED", "9293 3.9.2.2; 5927 5.2"),
    "icmp_hard_proto": ("none", "=/CLOSED", "9293 3.9.2.2; 5927 5.2"),
}

SYN_SENT = {
    "syn": ("synack", "SYN-RECEIVED", "9293 3.10.7.3 (4)"),
    "syn_old": ("synack", "SYN-RECEIVED", "9293 3.10.7.3 (4)"),
    "syn_above": ("synack", "SYN-RECEIVED", "9293 3.10.7.3 (4)"),
    "syn_fin": ("synack/none", "=/SYN-RECEIVED", "9293 3.10.7.3 (4)"),
    "synack": ("ack+1", "ESTABLISHED", "9293 3.10.7.3 (4)"),
    "synack_old": ("ack+1", "ESTABLISHED", "9293 3.10.7.3 (4)"),
    "synack_bad": ("rst", "=", "9293 3.10.7.3 (1)"),
    "rst": ("none", "=", "9293 3.10.7.3 (2)"),
    "rst_ack": ("none", "CLOSED", "9293 3.10.7.3 (2)"),
    "rst_ack_bad": ("none", "=", "9293 3.10.7.3 (1)"),
    "rst_bad": ("none", "=", "9293 3.1 MUST-3"),
    "icmp_hard_port": ("none", "CLOSED", "9293 3.9.2.2 SHLD-26"),
    "icmp_hard_proto": ("none", "CLOSED", "9293 3.9.2.2 SHLD-26"),
    "icmp_admin": ("none", "=/CLOSED", "5927 5.2"),
}
SYN_SENT |= {e: ("rst", "=", "9293 3.10.7.3 (1)") for e in
             ("ack_same", "ack_of_unsent", "ack_of_old", "ack_of_iss", "ack_of_ancient", "fin_same")}
SYN_SENT |= {e: ("none", "=", "9293 3.10.7.3 (2)") for e in ("rst_in", "rst_below", "rst_edge", "rst_above")}
SYN_SENT |= {e: ("none", "=", "9293 3.10.7.3 (5)") for e in EVENTS if e not in SYN_SENT and not e.startswith("icmp")}


def _over(own, *others):
    table = dict(SYNCHRONIZED)
    for o in others + (own,):
        table |= o
    # An urgent pointer changes nothing of this: what it does, features.py looks at.
    table["urg"], table["data_urg"] = table["ack_same"], table["data"]
    return table


_TABLES = {
    "SYN-SENT": _over(SYN_SENT),
    "SYN-RECEIVED": _over(HALF_OPEN),
    "SYN-RECEIVED (active)": _over({
        "syn": ("ack", "=", "9293 3.10.7.4 (4); 5961 4.2"),
        "syn_fin": ("ack", "=", "5961 4.2"),
        "synack_old": ("any", "ESTABLISHED", "9293 3.5 (figure 7)"),
        "synack": ("ack", "=", "5961 4.2"),
        "synack_bad": ("ack/rst", "=", "5961 4.2"),
    }, HALF_OPEN),
    "ESTABLISHED": _over({}),
    "FIN-WAIT-1": _over({
        "ack": ("none", "FIN-WAIT-2", "9293 3.10.7.4 (5)"),
        "fin": ("ack+1", "TIME-WAIT", "9293 3.10.7.4 (8)"),
        "fin_same": ("ack+1", "CLOSING", "9293 3.10.7.4 (8)"),
        "data_fin": ("ack+101", "CLOSING", "9293 3.10.7.4 (8)"),
    }),
    "FIN-WAIT-2": _over({e: (f"ack+{n}", "TIME-WAIT", "9293 3.10.7.4 (8)") for e, n in
                         (("fin", 1), ("fin_same", 1), ("data_fin", 101))}),
    # close() was called, not shutdown(): nobody will read.
    "FIN-WAIT-2 (closed)": _over({
        "fin": ("ack+1", "TIME-WAIT", "9293 3.10.7.4 (8)"),
        "fin_same": ("ack+1", "TIME-WAIT", "9293 3.10.7.4 (8)"),
        "data": ("rst", "CLOSED", "9293 3.6.1; 1122 4.2.2.13"),
        "data_opts": ("rst", "CLOSED", "9293 3.6.1; 1122 4.2.2.13"),
        "data_fin": ("rst", "CLOSED", "9293 3.6.1; 1122 4.2.2.13"),
        "data_overlap": ("rst", "CLOSED", "9293 3.6.1; 1122 4.2.2.13"),
        "data_gap": ("rst", "CLOSED", "9293 3.6.1; 1122 4.2.2.13"),
        "fin_gap": ("ack/none", "=", "9293 3.10.7.4"),
        "ack_of_iss": ("ack/none", "=", "5961 5.2"),
    }),
    "CLOSE-WAIT": _over({}, IGNORES),
    "CLOSING": _over({
        "ack": ("none", "TIME-WAIT", "9293 3.10.7.4 (5)"),
        "fin": ("any", "TIME-WAIT", "9293 3.10.7.4 (5)"),
    }, IGNORES),
    "LAST-ACK": _over({
        "ack": ("none", "CLOSED", "9293 3.10.7.4 (5)"),
        "fin": ("any", "CLOSED", "9293 3.10.7.4 (5)"),
    }, IGNORES),
    "TIME-WAIT": _over({
        "syn_above": ("synack", "SYN-RECEIVED", "9293 3.6.1 MAY-2; 6191 2"),
        "syn": ("ack/synack", "=/SYN-RECEIVED", "9293 3.6.1 MAY-2; 6191 2"),
        "syn_old": ("ack/synack", "=/SYN-RECEIVED", "5961 4.2; with timestamps 6191 2"),
        "syn_fin": ("any", "=/SYN-RECEIVED", "9293 3.10.7.4 (4)"),
        "ack": ("ack/none", "=", "9293 3.10.7.4 (5)"),
        "ack_same": ("ack/none", "=", "9293 3.10.7.4 (5)"),
        "ack_of_unsent": ("ack/none", "=", "9293 3.10.7.4 (5)"),
        "ack_of_old": ("ack/none", "=", "9293 3.10.7.4 (5)"),
        "ack_of_iss": ("ack/none", "=", "9293 3.10.7.4 (5)"),
        "ack_of_ancient": ("ack/none", "=", "9293 3.10.7.4 (5)"),
        "rst": ("none", "=/CLOSED", "9293 3.10.7.4 (2); 1337 3"),
        "rst_ack": ("none", "=/CLOSED", "9293 3.10.7.4 (2); 1337 3"),
        "rst_ack_bad": ("none", "=/CLOSED", "9293 3.10.7.4 (2); 1337 3"),
        "rst_in": ("ack/none", "=", "5961 3.2; 1337 3"),
    }, IGNORES),
}

# What npp does otherwise, by choice: (state, event): (answer, state afterwards, why).
DEVIATIONS = {("SYN-SENT", e): ("none", "CLOSED", "RFC 5461, 4.1: a program can try the next address at once, as with Linux")
              for e in ("icmp_soft_net", "icmp_soft_host", "icmp_time", "icmp_param")}
DEVIATIONS |= {("SYN-RECEIVED (active)", e): ("ack", "ESTABLISHED", "the window's edges count as inside, as with Linux: the "
                                              "ACK is taken, the text is not")
               for e in ("fin_old", "data_below", "data_edge")}


def _without_record(state, event):
    """CLOSED and LISTEN (RFC 9293, 3.10.7.1 and 3.10.7.2), by the flags alone."""
    ref = "9293 3.10.7." + ("1" if state == "CLOSED" else "2")
    if event.startswith("icmp"):
        return "none", "=", "5927 4.1"
    if event.startswith("rst"):
        return "none", "=", ref
    if event in ("data_bad",):
        return "none", "=", "9293 3.1 MUST-3"
    if event == "data_bad_opts":
        return "none/rst", "=", ref
    if event in ("fin_noack", "data_noack", "null"):
        return ("rstack" if state == "CLOSED" else "none"), "=", ref
    if event == "syn_fin" and state == "LISTEN":
        return "synack/none", "=/SYN-RECEIVED", ref
    if event.startswith("syn") and not event.startswith("synack"):
        return ("rstack", "=", ref) if state == "CLOSED" else ("synack", "SYN-RECEIVED", ref)
    return "rst", "=", ref


def cell(state, event):
    """(answer, state afterwards, RFC, why it deviates or None); None: there is no such cell."""
    if event in ICMP_IN and state in NOTHING_IN_FLIGHT:
        return None     # everything that could be quoted is outside
    dev = DEVIATIONS.get((state, event))
    if state in _TABLES:
        want = _TABLES[state][event]
    else:
        want = _without_record(state, event)
    return (dev[0], dev[1], want[2], dev[2]) if dev else want + (None,)
