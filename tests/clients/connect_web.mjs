// What tests/clients/connect_web checks. A browser's rules about headers do not bind Node's fetch, so
// the preflights are sent by hand, as a browser would.
import assert from "node:assert/strict";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { SystemService } from "./gen/orqit/v1/system_service_pb.js";
import { TicketCategory, TicketService, TicketStatus, TicketType } from "./gen/orqit/v1/ticket_service_pb.js";

const baseUrl = process.env.ORQIT_URL;
const bearer = `Bearer ${process.env.ORQIT_API_KEY}`;
const allowed = "https://app.example"; // what tests/clients/run sets ORQIT_CORS_ORIGINS to

const transport = createGrpcWebTransport({ baseUrl });
const keyed = createGrpcWebTransport({
  baseUrl,
  interceptors: [
    (next) => (request) => {
      request.header.set("authorization", bearer);
      return next(request);
    },
  ],
});
const system = createClient(SystemService, transport);
const tickets = createClient(TicketService, keyed);
const options = { timeoutMs: 10_000 };

async function refusal(call) {
  try {
    await call;
  } catch (error) {
    return ConnectError.from(error);
  }
  assert.fail("answered, and should have refused");
}

const reasons = (error) => error.details.map(({ type, value }) => `${type} ${new TextDecoder().decode(value)}`).join();

/** The ListTickets call of a page at `origin`, or the preflight that a browser sends before it. */
function list(method, origin, headers) {
  const body = method === "POST" ? new Uint8Array(5) : undefined; // one frame, no message in it
  return fetch(`${baseUrl}/orqit.v1.TicketService/ListTickets`, { method, body, headers: { origin, ...headers } });
}

const preflight = (origin) =>
  list("OPTIONS", origin, {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-grpc-web",
  });

const words = (response, header) => (response.headers.get(header) ?? "").toLowerCase().split(/\s*,\s*/);

function assertNames(response, header, names) {
  const named = words(response, header);
  for (const name of names) assert(named.includes(name) || named.includes("*"), `${header} lacks ${name}: ${named}`);
}

const checks = {
  async "pings without a key"() {
    assert.equal((await system.ping({}, options)).status, "ok");
  },

  async "creates, gets and updates a ticket"() {
    const { ticket } = await tickets.createTicket(
      {
        title: "Größe 漢字",
        description: "From a browser",
        type: TicketType.INCIDENT,
        category: TicketCategory.SOFTWARE,
      },
      options,
    );
    assert.equal(ticket.ticketNumber, `TCK-${ticket.id}`);
    const got = await tickets.getTicket({ id: ticket.ticketNumber }, options);
    assert.equal(got.ticket.title, "Größe 漢字");
    const changed = await tickets.updateTicket({ id: String(ticket.id), status: TicketStatus.RESOLVED }, options);
    assert.equal(changed.ticket.status, TicketStatus.RESOLVED);
    assert.equal(changed.ticket.version, 2n);
    assert(changed.ticket.resolvedAt);
  },

  async "an unknown ticket is NotFound, with its reason"() {
    const error = await refusal(tickets.getTicket({ id: "999999999" }, options));
    assert.equal(error.code, Code.NotFound, error.message);
    assert.match(reasons(error), /google\.rpc\.ErrorInfo .*TICKET_NOT_FOUND/s);
  },

  async "no key is Unauthenticated"() {
    const error = await refusal(createClient(TicketService, transport).listTickets({}, options));
    assert.equal(error.code, Code.Unauthenticated, error.message);
    assert.match(reasons(error), /MISSING_API_KEY/);
  },

  async "an empty ticket is InvalidArgument, with its fields"() {
    const error = await refusal(tickets.createTicket({}, options));
    assert.equal(error.code, Code.InvalidArgument, error.message);
    assert.match(reasons(error), /google\.rpc\.BadRequest .*title/s);
  },

  async "the text form is answered in the text form"() {
    const type = "application/grpc-web-text";
    const headers = { "content-type": type, accept: type, authorization: bearer };
    const body = "AAAAAAA="; // one frame, no message in it
    const response = await fetch(`${baseUrl}/orqit.v1.TicketService/ListTickets`, { method: "POST", body, headers });
    assert.match(response.headers.get("content-type"), /^application\/grpc-web-text/);
    const frames = (await response.text()).match(/[^=]+=*/g); // each may be padded on its own
    const text = frames.map((frame) => Buffer.from(frame, "base64").toString("latin1")).join("");
    assert.match(text, /grpc-status: ?0/);
  },

  async "a preflight from the allowed origin is granted, without a key"() {
    const response = await preflight(allowed);
    assert(response.ok, `status ${response.status}`);
    assert.equal(response.headers.get("access-control-allow-origin"), allowed);
    assertNames(response, "access-control-allow-methods", ["post"]);
    assertNames(response, "access-control-allow-headers", ["content-type", "x-grpc-web"]);
    // `*` does not stand for this one.
    assert(words(response, "access-control-allow-headers").includes("authorization"));
    assert.match(response.headers.get("vary") ?? "", /origin/i);
  },

  async "a preflight of a REST update is granted"() {
    const response = await fetch(`${baseUrl}/api/public/v1/tickets/1`, {
      method: "OPTIONS",
      headers: {
        origin: allowed,
        "access-control-request-method": "PATCH",
        "access-control-request-headers": "content-type,if-match,x-api-key",
      },
    });
    assert(response.ok, `status ${response.status}`);
    assert.equal(response.headers.get("access-control-allow-origin"), allowed);
    assertNames(response, "access-control-allow-methods", ["patch"]);
    assertNames(response, "access-control-allow-headers", ["content-type", "if-match", "x-api-key"]);
  },

  async "the answer exposes the status to the allowed origin"() {
    const headers = { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" };
    for (const credentials of [{ authorization: bearer }, {}]) {
      const response = await list("POST", allowed, { ...headers, ...credentials });
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("access-control-allow-origin"), allowed);
      assertNames(response, "access-control-expose-headers", ["grpc-status", "grpc-message", "grpc-status-details-bin"]);
    }
  },

  async "another origin is granted nothing"() {
    for (const origin of ["https://app.example.evil", "http://app.example", "null"]) {
      const headers = { "content-type": "application/grpc-web+proto", authorization: bearer };
      for (const response of [await preflight(origin), await list("POST", origin, headers)]) {
        const granted = response.headers.get("access-control-allow-origin");
        assert(granted === null || granted === allowed, `${origin} is granted ${granted}`);
      }
    }
  },
};

for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`FAILED ${name}: ${error.message.replace(/\s+/g, " ").slice(0, 800)}`);
  }
}
