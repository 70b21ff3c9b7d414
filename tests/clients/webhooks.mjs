// The deliveries that webhooks.py has received, verified by the stock libraries of npm.
import { readFileSync } from "node:fs";
import * as standardwebhooks from "standardwebhooks";
import * as svix from "svix";

for (const { secrets, headers, body } of JSON.parse(readFileSync("deliveries.json", "utf8"))) {
  for (const [name, { Webhook }] of Object.entries({ standardwebhooks, svix })) {
    for (const secret of secrets) {
      const webhook = new Webhook(secret);
      webhook.verify(body, headers);
      let refused = false;
      try {
        webhook.verify(body.replace("ticket", "asset"), headers);
      } catch {
        refused = true;
      }
      console.log(`${refused ? "ok" : "FAILED"} ${name} of npm verifies a delivery and refuses another body`);
    }
  }
}
