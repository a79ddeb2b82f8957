"""python-zeroconf as a neighbour: browses, waits for a goodbye, or has a name already. Bounded by its own deadline."""

import queue
import socket
import sys
import time

from zeroconf import ServiceBrowser, ServiceInfo, Zeroconf

TYPES = ["_https._tcp.local.", "_sip._tcp.local.", "_sip._udp.local."]
LIMIT = 25.0


class Heard:
    """Puts what a browser hears into a queue."""

    def __init__(self):
        self.news = queue.Queue()

    def add_service(self, zc, kind, name):
        self.news.put(("add", kind, name))

    def update_service(self, zc, kind, name):
        pass

    def remove_service(self, zc, kind, name):
        self.news.put(("remove", kind, name))


def wait(heard, what, count):
    """The first `count` services that were added, or removed."""
    found, limit = set(), time.monotonic() + LIMIT
    while len(found) < count:
        try:
            act, kind, name = heard.news.get(timeout=max(0.01, limit - time.monotonic()))
        except queue.Empty:
            sys.exit(f"only {sorted(found)} within {LIMIT} s")
        if act == what:
            found.add((kind, name))
    return sorted(found)


def main(act):
    zc = Zeroconf()
    if act == "occupy":
        info = ServiceInfo(
            TYPES[0],
            "12 rue des Lilas." + TYPES[0],
            port=1,
            server="doorline-lilas.local.",
            addresses=[socket.inet_aton("192.0.2.1")],
        )
        zc.register_service(info)
        print("ready", flush=True)
        while True:
            time.sleep(60)
    heard = Heard()
    ServiceBrowser(zc, TYPES, heard)
    found = wait(heard, "add", len(TYPES))
    if act == "goodbye":
        print("ready", flush=True)
        wait(heard, "remove", len(TYPES))
    else:
        for kind, name in found:
            info = zc.get_service_info(kind, name, timeout=5000)
            texts = ",".join(
                f"{key.decode()}={(value or b'').decode()}" for key, value in info.properties.items() if key
            )
            addresses = ",".join(info.parsed_addresses()[:1])
            print(kind, name, info.server, addresses, info.port, texts)
    zc.close()


main(sys.argv[1])
