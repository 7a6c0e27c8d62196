"""Programs that stand in for a cloud's services.

SPDX-License-Identifier: Apache-2.0
"""

import re
import subprocess

from conftest import PATIENCE, wait_until

HOST, DEVICE = "contoso.azure-devices.net", "MyDevice01"
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
CONNECTION = f"HostName={HOST};DeviceId={DEVICE};SharedAccessKey={KEY}"
"""Of the device that the hub's stand-in knows."""


class Service:
    """A program that stands in for a service, and what it says."""

    def __init__(self, folder, *command):
        self._path = folder / "log"
        with open(self._path, "wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        assert wait_until(lambda: re.search(r"port \d+\n", self.log())), self.log()
        self.port = int(self.log().split("port ")[1].split()[0])

    def log(self):
        return self._path.read_text("utf-8", "replace")

    def says(self, text):
        return wait_until(lambda: text in self.log())

    def stop(self):
        self._process.terminate()
        self._process.wait(PATIENCE)
