"""GDB commands for the capOS kernel and the program it runs.

Loaded by the command that `./capos run -d` prints. All read kernel structures through the debug information of capos.elf; nothing is
executed on the machine. `help capos` lists the commands.
"""

import gdb


class CaposCommand(gdb.Command):
    """Look at capOS: capos cpus, capos threads, capos caps, capos regions, capos queues."""

    def __init__(self):
        super().__init__("capos", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE, True)


def text(value):
    return value.string(errors="replace")


def address(value):
    return int(value.cast(gdb.lookup_type("unsigned long")))


def container(node, type_name, member):
    """The structure around an intrusive node."""
    kind = gdb.lookup_type("struct " + type_name)
    offset = next(f.bitpos // 8 for f in kind.fields() if f.name == member)
    return gdb.Value(address(node) - offset).cast(kind.pointer()).dereference()


def list_nodes(lst):
    head = address(lst["head"].address)
    node = lst["head"]["next"]
    while address(node) != head:
        yield node
        node = node["next"]


def tree_nodes(node):
    if address(node) == 0:
        return
    yield from tree_nodes(node["child"][0])
    yield node
    yield from tree_nodes(node["child"][1])


def cpus():
    for i in range(int(gdb.parse_and_eval("online"))):
        yield gdb.parse_and_eval("percpus[%d]" % i)


def foreground():
    process = gdb.parse_and_eval("foreground")
    if address(process) == 0:
        raise gdb.GdbError("no program is running")
    return process.dereference()


STATES = {f.enumval: f.name.removeprefix("THREAD_").lower() for f in gdb.lookup_type("enum thread_state").fields()}
REGION_STATES = {1: "reserved", 2: "promised", 3: "sparse", 4: "object"}


def symbol(rip):
    found = gdb.execute("info symbol %#x" % rip, to_string=True).strip()
    return "" if found.startswith("No symbol") else found


class Cpus(gdb.Command):
    """What each CPU runs."""

    def __init__(self):
        super().__init__("capos cpus", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for cpu in cpus():
            thread = cpu["current"].dereference()
            print("CPU %d: thread %d \"%s\", %d waiting to run" % (int(cpu["id"]), int(thread["id"]), text(thread["name"]), int(cpu["run"]["count"])))


class Queues(gdb.Command):
    """The threads waiting to run on each CPU, and for a time."""

    def __init__(self):
        super().__init__("capos queues", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for cpu in cpus():
            print("CPU %d" % int(cpu["id"]))
            for node in tree_nodes(cpu["run"]["threads"]["root"]):
                thread = container(node, "thread", "run_node")
                print("  runnable: thread %d, virtual time %d ns" % (int(thread["id"]), int(thread["vruntime_ns"])))
            for node in tree_nodes(cpu["timers"]["threads"]["root"]):
                thread = container(node, "thread", "timer_node")
                print("  until %d ns: thread %d" % (int(thread["timer_deadline_ns"]), int(thread["id"])))


class Threads(gdb.Command):
    """The threads of the running program, with where each left user mode."""

    def __init__(self):
        super().__init__("capos threads", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        frame_type = gdb.lookup_type("struct trap_frame")
        stack_size = int(gdb.parse_and_eval("thread_stack_size"))
        for node in list_nodes(foreground()["threads"]):
            thread = container(node, "thread", "process_node")
            top = address(thread["stack"]) + stack_size
            frame = gdb.Value(top - frame_type.sizeof).cast(frame_type.pointer()).dereference()
            rip = int(frame["rip"])
            print("thread %-4d %-8s CPU %d rip %#x rsp %#x pending %#x mask %#x %s %s" % (
                int(thread["id"]), STATES.get(int(thread["state"]), "?"), int(thread["cpu"]), rip, int(frame["rsp"]),
                int(thread["notify_pending"]), int(thread["notify_mask"]), text(thread["name"]), symbol(rip)))


class Caps(gdb.Command):
    """The capabilities the running program holds."""

    def __init__(self):
        super().__init__("capos caps", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        table = foreground()["caps"]
        slots = int(table["slots"])
        object_pointer = gdb.lookup_type("struct object").pointer()
        for slot in range(1, slots):
            word = int(table["chunks"][slot // 64][slot % 64])
            where = word & 0x0000FFFFFFFFFFF0
            generation = word >> 48
            if where & (1 << 47):
                where |= 0xFFFF000000000000
            if not where & (1 << 63):
                continue  # free slots hold a slot number, not a kernel address
            item = gdb.Value(where).cast(object_pointer).dereference()
            interface = item["interface"].dereference()
            print("cap %#010x  %-16s object #%d, %d references" % (
                generation << 16 | slot, text(interface["name"]), int(item["serial"]), int(item["references"])))


class Regions(gdb.Command):
    """The address space of the running program."""

    def __init__(self):
        super().__init__("capos regions", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        space = foreground()["space"].dereference()
        for node in tree_nodes(space["regions"]["root"]):
            region = container(node, "region", "node")
            prot = int(region["prot"])
            flags = "".join(c if prot & bit else "-" for c, bit in (("r", 1), ("w", 2), ("x", 4)))
            start, end = int(region["start"]), int(region["end"])
            print("%#016x-%#016x %8d KiB %s %s%s" % (start, end, (end - start) // 1024, flags,
                                                   REGION_STATES.get(int(region["state"]), "?"), " pinned" if int(region["pinned"]) else ""))


CaposCommand()
Cpus()
Queues()
Threads()
Caps()
Regions()
