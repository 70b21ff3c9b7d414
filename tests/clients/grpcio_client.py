#!/usr/bin/env python
"""grpcio: the life of a ticket through a client generated from proto/, and the details of errors."""

import os
import pathlib
import subprocess
import sys

import grpc
from google.protobuf import field_mask_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

PROTO = pathlib.Path(os.environ["REPOSITORY"], "proto")
TARGET = os.environ["ORQIT_URL"].removeprefix("http://")
ADMIN = [("authorization", "Bearer " + os.environ["ORQIT_API_KEY"])]
READER = [("x-api-key", os.environ["ORQIT_READ_KEY"])]

# The google/api files are left out: googleapis-common-protos brings them for Python.
subprocess.run(
    [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", "--python_out=.", "--grpc_python_out=."]
    + [str(path) for path in sorted(PROTO.glob("orqit/**/*.proto"))],
    check=True,
)
sys.path.insert(0, os.getcwd())
from orqit.v1 import key_service_pb2, key_service_pb2_grpc  # noqa: E402
from orqit.v1 import system_service_pb2, system_service_pb2_grpc  # noqa: E402
from orqit.v1 import ticket_service_pb2 as pb, ticket_service_pb2_grpc  # noqa: E402

channel = grpc.insecure_channel(TARGET)
system = system_service_pb2_grpc.SystemServiceStub(channel)
keys = key_service_pb2_grpc.KeyServiceStub(channel)
tickets = ticket_service_pb2_grpc.TicketServiceStub(channel)


def new_ticket(**fields):
    wanted = dict(
        title="Printer is out of toner",
        description="Third floor — “the grey one” 🖨",
        type=pb.TICKET_TYPE_SERVICE_REQUEST,
        category=pb.TICKET_CATEGORY_HARDWARE,
    )
    return pb.CreateTicketRequest(**(wanted | fields))


def create(**fields):
    return tickets.CreateTicket(new_ticket(**fields), metadata=ADMIN, timeout=10).ticket


def refused(code, call, *arguments, **options):
    """Calls, demands this status, and answers the details by type name."""
    try:
        call(*arguments, **({"timeout": 10} | options))
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()}: {error.details()}"
        status = rpc_status.from_call(error)
        assert status is not None, "there is no grpc-status-details-bin"
        details = {}
        for packed in status.details:
            kind = getattr(error_details_pb2, packed.TypeName().rpartition(".")[2])
            details[kind.DESCRIPTOR.name] = kind()
            assert packed.Unpack(details[kind.DESCRIPTOR.name])
        assert details["ErrorInfo"].domain == "orqit", details
        return details
    raise AssertionError(f"answered, and not {code}")


def pings_without_a_key():
    assert system.Ping(system_service_pb2.PingRequest(), timeout=10).status == "ok"


def x_api_key_tells_who_it_is():
    key = keys.GetSelf(key_service_pb2.GetSelfRequest(), metadata=READER, timeout=10).key
    assert key.name == "clients-read-only" and "tickets:read" in key.scopes, key
    assert key.status == key_service_pb2.API_KEY_STATUS_ACTIVE, key


def a_created_ticket_is_got_as_it_was_sent():
    created = create(tags=["grpcio"], impact=pb.IMPACT_HIGH, urgency=pb.URGENCY_HIGH)
    assert created.status == pb.TICKET_STATUS_OPEN and created.version == 1, created
    assert created.priority == pb.PRIORITY_CRITICAL, created
    assert created.description == new_ticket().description
    for name in (str(created.id), created.ticket_number):
        got = tickets.GetTicket(pb.GetTicketRequest(id=name), metadata=READER, timeout=10).ticket
        assert got == created, got


def pages_follow_by_cursor():
    wanted = [create(tags=["grpcio-pages"]).id for _ in range(3)]
    request = pb.ListTicketsRequest(tag="grpcio-pages", per_page=2, sort="createdAt")
    first = tickets.ListTickets(request, metadata=READER, timeout=10)
    assert first.meta.total_count == 3 and first.meta.has_more, first.meta
    request.cursor = first.meta.next_cursor
    second = tickets.ListTickets(request, metadata=READER, timeout=10)
    assert not second.meta.has_more and not second.meta.HasField("page"), second.meta
    assert [ticket.id for ticket in [*first.tickets, *second.tickets]] == wanted


def without_a_mask_the_fields_present_change():
    ticket = create(tags=["kept"])
    request = pb.UpdateTicketRequest(id=str(ticket.id), title="Toner, cyan")
    changed = tickets.UpdateTicket(request, metadata=ADMIN, timeout=10).ticket
    assert changed.title == "Toner, cyan" and changed.tags == ["kept"], changed
    assert changed.version == 2, changed


def the_mask_clears_what_the_request_leaves_out():
    ticket = create(tags=["cleared"], impact=pb.IMPACT_LOW, urgency=pb.URGENCY_LOW)
    mask = field_mask_pb2.FieldMask(paths=["impact", "tags", "title"])
    request = pb.UpdateTicketRequest(id=str(ticket.id), update_mask=mask, title="No impact")
    changed = tickets.UpdateTicket(request, metadata=ADMIN, timeout=10).ticket
    assert not changed.HasField("impact") and not changed.tags, changed
    assert changed.title == "No impact" and changed.urgency == pb.URGENCY_LOW, changed


def bad_fields_are_all_named():
    request = new_ticket(title="", type=pb.TICKET_TYPE_UNSPECIFIED)
    details = refused(grpc.StatusCode.INVALID_ARGUMENT, tickets.CreateTicket, request, metadata=ADMIN)
    assert details["ErrorInfo"].reason == "VALIDATION_FAILED", details
    fields = {violation.field for violation in details["BadRequest"].field_violations}
    assert fields == {"title", "type"}, fields


def an_unknown_enum_number_is_refused():
    request = new_ticket(priority=99)
    details = refused(grpc.StatusCode.INVALID_ARGUMENT, tickets.CreateTicket, request, metadata=ADMIN)
    assert details["BadRequest"].field_violations[0].field == "priority", details


def an_unknown_ticket_is_not_found():
    request = pb.GetTicketRequest(id="999999999")
    details = refused(grpc.StatusCode.NOT_FOUND, tickets.GetTicket, request, metadata=ADMIN)
    assert details["ErrorInfo"].reason == "TICKET_NOT_FOUND", details


def an_older_version_is_aborted():
    ticket = create()
    request = pb.UpdateTicketRequest(id=str(ticket.id), version=7, title="Too late")
    details = refused(grpc.StatusCode.ABORTED, tickets.UpdateTicket, request, metadata=ADMIN)
    assert details["ErrorInfo"].reason == "VERSION_CONFLICT", details


def a_transition_that_is_not_allowed_says_what_is():
    number = create().ticket_number
    cancel = pb.UpdateTicketRequest(id=number, status=pb.TICKET_STATUS_CANCELLED)
    tickets.UpdateTicket(cancel, metadata=ADMIN, timeout=10)
    close = pb.UpdateTicketRequest(id=number, status=pb.TICKET_STATUS_CLOSED)
    details = refused(
        grpc.StatusCode.FAILED_PRECONDITION, tickets.UpdateTicket, close, metadata=ADMIN
    )
    assert details["ErrorInfo"].reason == "INVALID_STATUS_TRANSITION", details
    assert details["ErrorInfo"].metadata["allowed"] == "OPEN", details


def a_missing_and_a_wrong_key_are_unauthenticated():
    request = pb.ListTicketsRequest()
    details = refused(grpc.StatusCode.UNAUTHENTICATED, tickets.ListTickets, request)
    assert details["ErrorInfo"].reason == "MISSING_API_KEY", details
    wrong = [("x-api-key", "orq_nobody")]
    details = refused(grpc.StatusCode.UNAUTHENTICATED, tickets.ListTickets, request, metadata=wrong)
    assert details["ErrorInfo"].reason == "INVALID_API_KEY", details


def a_key_that_may_only_read_cannot_create():
    details = refused(
        grpc.StatusCode.PERMISSION_DENIED, tickets.CreateTicket, new_ticket(), metadata=READER
    )
    assert details["ErrorInfo"].reason == "INSUFFICIENT_SCOPE", details
    assert details["ErrorInfo"].metadata["requiredScope"] == "tickets:create", details


def a_message_that_is_too_large_is_refused():
    request = new_ticket(description="x" * (2 << 20))
    details = refused(
        grpc.StatusCode.RESOURCE_EXHAUSTED, tickets.CreateTicket, request, metadata=ADMIN
    )
    assert details["ErrorInfo"].reason == "PAYLOAD_TOO_LARGE", details


def a_passed_deadline_leaves_the_connection_usable():
    # Whoever notices first, client or service, the code is the same.
    try:
        tickets.ListTickets(pb.ListTicketsRequest(), metadata=ADMIN, timeout=-1)
        raise AssertionError("answered before it was asked")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    tickets.ListTickets(pb.ListTicketsRequest(), metadata=ADMIN, timeout=10)


def an_unknown_rpc_is_unimplemented():
    call = channel.unary_unary("/orqit.v1.TicketService/Nothing")
    details = refused(grpc.StatusCode.UNIMPLEMENTED, call, b"", metadata=ADMIN)
    assert details["ErrorInfo"].reason == "ROUTE_NOT_FOUND", details


def bytes_that_are_no_message_are_invalid():
    call = channel.unary_unary("/orqit.v1.TicketService/CreateTicket")
    refused(grpc.StatusCode.INVALID_ARGUMENT, call, b"\xff\xff\xff", metadata=ADMIN)


CHECKS = [
    pings_without_a_key,
    x_api_key_tells_who_it_is,
    a_created_ticket_is_got_as_it_was_sent,
    pages_follow_by_cursor,
    without_a_mask_the_fields_present_change,
    the_mask_clears_what_the_request_leaves_out,
    bad_fields_are_all_named,
    an_unknown_enum_number_is_refused,
    an_unknown_ticket_is_not_found,
    an_older_version_is_aborted,
    a_transition_that_is_not_allowed_says_what_is,
    a_missing_and_a_wrong_key_are_unauthenticated,
    a_key_that_may_only_read_cannot_create,
    a_message_that_is_too_large_is_refused,
    a_passed_deadline_leaves_the_connection_usable,
    an_unknown_rpc_is_unimplemented,
    bytes_that_are_no_message_are_invalid,
]
for check in CHECKS:
    name = check.__name__.replace("_", " ")
    try:
        check()
        print(f"ok {name}", flush=True)
    except Exception as error:  # whatever a call raises fails its check alone
        print(f"FAILED {name}: {type(error).__name__}: {' '.join(str(error).split())}"[:800], flush=True)
