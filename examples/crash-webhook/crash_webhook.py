"""Posts each run that crashes to ARENA_CRASH_WEBHOOK, as JSON; again until it is taken."""

import asyncio
import json
import os
from urllib.request import Request, urlopen

from arena_tui.consumer import SimpleConsumer


class CrashWebhook(SimpleConsumer):
    name = "crash-webhook"

    async def start(self):
        kept = await super().start()
        self.url = os.environ.get("ARENA_CRASH_WEBHOOK")
        if not self.url:
            raise RuntimeError("set ARENA_CRASH_WEBHOOK to the address to post to")
        return kept

    async def process(self, batch):
        for each in batch:  # an Envelope, or a Gap for events that nobody has any more
            event = getattr(each, "event", None)
            if event and event.kind == "run_end" and event.status == "crashed":
                told = {"run_id": each.run_id, "epoch": each.epoch, "seq": each.seq}
                await asyncio.to_thread(self.post, told | {"reason": event.reason})

    def post(self, told):
        content = {"Content-Type": "application/json"}
        urlopen(Request(self.url, json.dumps(told).encode(), content), timeout=10).close()
