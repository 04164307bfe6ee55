#!/usr/bin/python3
"""An HTTP server that is no git server, in ways that a client must cope with.

    canned.py MODE [TARGET]

prints "port N" and serves on 127.0.0.1 until it is ended; then one line a request
on stdout: METHOD PATH AUTHORIZATION-OR-"-". Answers of git's are canned: HEAD and
refs/heads/main hold forty times "a".

    good             answers ls-refs
    one-per-conn     the same, but a second request on a connection is read and the
                     connection closed without an answer
    redirect         GET is redirected to TARGET + path, POST answered 404
    redirect-post    POST is redirected to TARGET + path
    redirect-to      GET is redirected to TARGET as it stands
    status-N         every request is answered with that status, and words in plain
                     text with an escape sequence
    html             a friendly page, status 200
    dumb             info/refs as a plain file
    v0               an advertisement of protocol version 0
    empty            status 200, the right type, no body
    cut              an answer that ends in the middle
    trailing         an answer with bytes after its end
    stall            headers, then silence
    silent           takes requests and never answers
"""
import http.server
import sys
import time

MODE = sys.argv[1]
TARGET = sys.argv[2] if len(sys.argv) > 2 else ""
OID = "a" * 40


def pkt(text):
    return b"%04x" % (len(text) + 5) + text.encode() + b"\n"


REFS = (pkt(f"{OID} HEAD symref-target:refs/heads/main") + pkt(f"{OID} refs/heads/main")
        + b"0000")
CAPS = (pkt("version 2") + pkt("agent=canned/1") + pkt("ls-refs") + pkt("fetch=shallow")
        + b"0000")
V0 = (pkt("# service=git-upload-pack") + b"0000" + pkt(f"{OID} HEAD\0multi_ack agent=old/1")
      + b"0000")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    served = 0

    def log_message(self, *args):
        pass

    def answer(self, status, kind, body, headers=()):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def discovery(self):
        kind = "application/x-git-upload-pack-advertisement"
        if MODE == "redirect":
            self.answer(302, "text/plain", b"", [("Location", TARGET + self.path)])
        elif MODE == "redirect-to":
            self.answer(302, "text/plain", b"", [("Location", TARGET)])
        elif MODE == "dumb":
            self.answer(200, "text/plain", f"{OID}\trefs/heads/main\n".encode())
        elif MODE == "v0":
            self.answer(200, kind, V0)
        else:
            self.answer(200, kind, CAPS)

    def upload_pack(self):
        kind = "application/x-git-upload-pack-result"
        if MODE == "redirect-post":
            self.answer(307, "text/plain", b"", [("Location", TARGET + self.path)])
        elif MODE in ("redirect", "redirect-to", "dumb", "v0"):
            self.answer(404, "text/html", b"<h1>nothing here</h1>")
        elif MODE == "empty":
            self.answer(200, kind, b"")
        elif MODE == "cut":
            self.answer(200, kind, REFS[:-20])
        elif MODE == "trailing":
            self.answer(200, kind, REFS + b"0000")
        elif MODE == "stall":
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(REFS[:10])
            time.sleep(60)
        else:
            self.answer(200, kind, REFS)

    def serve(self, handle):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        print(self.command, self.path, self.headers.get("Authorization") or "-", flush=True)
        self.served += 1
        if MODE == "silent":
            time.sleep(60)
        elif MODE == "one-per-conn" and self.served > 1:
            self.close_connection = True
        elif MODE.startswith("status-"):
            self.answer(int(MODE[7:]), "text/plain", b"go \x1b[31maway")
        elif MODE == "html":
            self.answer(200, "text/html", b"<h1>Please log in</h1>")
        else:
            handle()

    def do_GET(self):
        self.serve(self.discovery)

    def do_POST(self):
        self.serve(self.upload_pack)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print("port", server.server_port, flush=True)
server.serve_forever()
