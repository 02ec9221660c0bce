"""A page in headless Chromium: what it shows and what its scripts answer. Talks to the browser's debugger over a pipe."""
import base64
import json
import os
import shutil
import subprocess
import tempfile

import harness


class Browser:
    def __init__(self):
        self.path = shutil.which("chromium")
        if not self.path:
            raise harness.Skip("chromium is not installed (Debian: chromium)")

    def __enter__(self):
        self.home = tempfile.mkdtemp(prefix="preloom-browser-")
        to_r, self.to = os.pipe()
        self.back, back_w = os.pipe()

        def fds():
            os.dup2(to_r, 60)
            os.dup2(back_w, 61)
            os.dup2(60, 3)
            os.dup2(61, 4)

        words = [self.path, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--hide-scrollbars",
                 "--no-first-run", f"--user-data-dir={self.home}", "--window-size=1280,900", "about:blank"]
        self.popen = subprocess.Popen(words, preexec_fn=fds, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_r)
        os.close(back_w)
        self.n, self.buffer, self.complaints, self.requests = 0, b"", [], []
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Page", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self.popen.kill()
        self.popen.wait()
        os.close(self.to)
        os.close(self.back)
        shutil.rmtree(self.home, ignore_errors=True)

    def call(self, method, **params):
        self.n += 1
        message = {"id": self.n, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        while True:
            answer = self.read()
            if answer.get("id") == self.n:
                if "error" in answer:
                    raise harness.Failure(f"{method}: {answer['error']}")
                return answer["result"]
            self.note(answer)

    def read(self):
        while b"\0" not in self.buffer:
            more = os.read(self.back, 1 << 20)
            if not more:
                raise harness.Failure("the browser has ended")
            self.buffer += more
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def note(self, event):
        """Exceptions of scripts, complaints on the console, and what the page fetches."""
        p = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            d = p["exceptionDetails"]
            self.complaints.append(d.get("exception", {}).get("description") or d["text"])
        if event.get("method") == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning"):
            self.complaints.append(str(p["args"]))
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(p["request"]["url"])

    def open(self, path):
        self.call("Page.navigate", url="file://" + path)
        harness.Test.until(lambda: self.ask("document.body && document.body.dataset.ready") == "1" or self.complaints)
        if self.complaints:
            raise harness.Failure(f"the page's scripts fail: {self.complaints[:3]}")

    def ask(self, expression):
        r = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in r:
            d = r["exceptionDetails"]
            raise harness.Failure(f"{expression}: {d.get('exception', {}).get('description') or d['text']}")
        return r["result"].get("value")

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def shot(self, path, width=1280, height=900):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))
