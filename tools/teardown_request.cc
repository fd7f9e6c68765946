// SPDX-License-Identifier: MIT
// The story: gather facts -> gate -> (blocked: say what unblocks) -> ask one human -> gather again
// -> use the approval once -> hand the verb over -> record. No argument of this tool can approve
// anything.
#include "tools/teardown_request.h"

#include <cstdio>

#include "core/base/digest.h"
#include "core/base/text.h"
#include "tools/boxes_seen.h"
#include "tools/gate_facts.h"
#include "tools/report.h"

namespace rgt {
namespace {

constexpr std::size_t kListed = 20;  // blockers and lost files shown by name; the rest are counted

Card card() {
  return Card{
      "teardown_request",
      "Ask for a teardown",
      "Phase 5, last: ask that a box may be given back. Refused until every run on it has ended "
      "and "
      "every expected artifact is on this machine and load-verified; says what single step "
      "unblocks it. "
      "Then a human must approve this one action by typing the box's name (in a form, or with `rgt "
      "approve` in their own terminal). No argument can approve, and you must not approve for "
      "them. "
      "rgt hands the exact verb to the human.",
      input_schema({{"box", {{"type", "string"}, {"minLength", 1}}},
                    {"price_per_hour",
                     {{"type", "number"},
                      {"minimum", 0},
                      {"description", "what the box costs, to show what waiting costs"}}}},
                   {"box"}),
      output_schema({{"box", {{"type", "string"}}},
                     {"state", {{"enum", {"blocked", "waiting", "denied", "done"}}}},
                     {"request", {{"type", "string"}}},
                     {"verb", {{"type", "string"}}},
                     {"blockers", {{"type", "array"}, {"items", {{"type", "object"}}}}},
                     {"would_be_lost", {{"type", "array"}}},
                     {"expected", {{"type", "integer"}}},
                     {"proven", {{"type", "integer"}}},
                     {"waiting_cost", {{"type", "string"}}}},
                    {"box", "state"}),
      Annotations{.read_only = false, .destructive = true, .idempotent = true}};
}

std::string waiting_cost(double price) {
  if (price <= 0) return "every hour that passes is billed; pass price_per_hour to see how much";
  char text[96];
  std::snprintf(text, sizeof text, "waiting costs %.2f per hour, %.2f per day", price, price * 24);
  return text;
}

TeardownAction action_of(const Profile& profile) {
  return {"hand_over", profile.meter_stop.irreversible, true};
}

// Everything one request is about, judged at one moment.
struct Moment {
  Profile profile = {};
  GatheredFacts gathered = {};
  GateDecision decision = {};
};

Result<Moment> judge_now(Environment& environment, const std::string& box, const Call& call) {
  Moment moment;
  auto profile = environment.handbook.profile(default_profile(environment, box));
  if (!profile) return profile.error();
  moment.profile = **profile;
  auto gathered = gather_gate_facts(environment, box, call);
  if (!gathered) return gathered.error();
  moment.gathered = std::move(*gathered);
  moment.decision = evaluate_gate(moment.gathered.facts);
  return moment;
}

std::string question_text(const Moment& moment, const TeardownRecord& request) {
  const MeterStop& stop = moment.profile.meter_stop;
  const GateDecision& decision = moment.decision;
  std::string text = "Request " + request.request + ": give back the box " + request.box + "?\n" +
                     "What happens: " + stop.verb + "\n" +
                     (stop.irreversible ? "This CANNOT be undone. " : "This can be undone. ") +
                     "It destroys: " + stop.destroys + ". It keeps: " + stop.keeps + ". (" +
                     moment.profile.title + ", fact verified " + moment.profile.verified + ")\n" +
                     "Proven: " + std::to_string(decision.artifacts_proven) + " of " +
                     std::to_string(decision.artifacts_expected) +
                     " expected artifacts are on this machine and load.\n";
  if (decision.would_be_lost.empty())
    return text + "No other checkpoint-like files were found in the runs.\n";
  text += "LOST with the box, because no job named them (" +
          std::to_string(decision.would_be_lost.size()) + "):\n";
  for (std::size_t i = 0; i < decision.would_be_lost.size() && i < kListed; ++i) {
    text += "  " + clean_line(decision.would_be_lost[i], 200) + "\n";
  }
  return text;
}

Report start_report(const Environment& environment, const Moment& moment, const std::string& box,
                    const std::string& state) {
  Report report(environment.handbook, state);
  report.field("box") = box;
  report.field("state") = state;
  report.field("verb") = moment.profile.meter_stop.verb;
  report.field("irreversible") = moment.profile.meter_stop.irreversible;
  report.field("expected") = moment.decision.artifacts_expected;
  report.field("proven") = moment.decision.artifacts_proven;
  report.field("would_be_lost") = moment.decision.would_be_lost;
  report.field("blockers") = Json::array();
  return report;
}

ToolResult blocked(Environment& environment, const std::string& box, const Moment& moment,
                   double price) {
  const GateDecision& decision = moment.decision;
  Report report = start_report(environment, moment, box, "blocked");
  const bool silent = moment.gathered.facts.reachable == Seen::no;
  report.set_exit(silent ? Exit::unreachable : Exit::refused);
  report.set_summary("Teardown of " + box +
                     " REFUSED: " + std::to_string(decision.artifacts_proven) + " of " +
                     std::to_string(decision.artifacts_expected) + " artifacts proven, " +
                     std::to_string(decision.blockers.size()) +
                     " blockers. First: " + decision.blockers.at(0).message);
  Json rows = Json::array();
  for (const Blocker& blocker : decision.blockers) {
    if (rows.size() == kListed) break;
    rows.push_back({{"id", blocker.id},
                    {"run", blocker.run},
                    {"message", blocker.message},
                    {"unblock", blocker.unblock}});
    report.add_line(blocker.id + (blocker.run.empty() ? "" : " (" + blocker.run + ")") + ": " +
                    blocker.message);
  }
  for (const std::string& trouble : moment.gathered.trouble) report.add_line("note: " + trouble);
  report.field("blockers") = std::move(rows);
  report.field("waiting_cost") = waiting_cost(price);
  const Blocker& first = decision.blockers.at(0);
  report.add_next(
      {first.unblock, first.tool,
       first.tool.empty() ? Json(nullptr) : Json::parse(first.arguments, nullptr, false)});
  report.add_line(waiting_cost(price));
  return report.finish();
}

ToolResult waiting(Environment& environment, const Moment& moment, const TeardownRecord& request,
                   double price, const std::string& why) {
  Report report = start_report(environment, moment, request.box, "waiting");
  report.set_exit(Exit::refused);
  report.field("request") = request.request;
  report.field("waiting_cost") = waiting_cost(price);
  report.set_summary("Teardown of " + request.box +
                     " waits for a human: all evidence holds, nobody has "
                     "approved yet. " +
                     why);
  report.add_line(question_text(moment, request));
  report.add_line(waiting_cost(price));
  report.add_next(
      {"tell the user to run this in their own terminal and to type the box's name: rgt approve " +
           request.request,
       "", nullptr});
  return report.finish();
}

ToolResult denied(Environment& environment, const Moment& moment, const TeardownRecord& request,
                  const std::string& channel, const Call& call) {
  const auto saved = environment.ledger->deny(request.request, channel, call.now);
  Report report = start_report(environment, moment, request.box, "denied");
  report.set_exit(Exit::refused);
  report.field("request") = request.request;
  report.field("recorded") = saved.ok();
  report.set_summary("The human said no to the teardown of " + request.box + ". Nothing was done.");
  report.add_next({"ask the user what is missing; do not ask again unasked", "", nullptr});
  return report.finish();
}

ToolResult done(Environment& environment, const Moment& moment, const TeardownRecord& request) {
  Report report = start_report(environment, moment, request.box, "done");
  report.field("request") = request.request;
  report.field("approved_by") = request.approver;
  report.set_summary("Approved by " + request.approver + ". " + request.outcome);
  report.add_next(
      {"tell the user: " + moment.profile.meter_stop.verb +
           ". The meter runs until they have done it; ask them to confirm in the console",
       "", nullptr});
  report.add_next({"remove the recurring patrol for this box", "", nullptr});
  return report.finish();
}

// The moment of action: every fact once more, then the approval is spent, then the verb is handed
// over.
ToolResult carry_out(Environment& environment, const TeardownRecord& approved, double price,
                     const Call& call) {
  auto moment = judge_now(environment, approved.box, call);
  if (!moment)
    return trouble_report(environment.handbook, moment.error(),
                          {{"box", approved.box}, {"state", "blocked"}}, {});
  if (!moment->decision.may_ask_human) return blocked(environment, approved.box, *moment, price);
  auto used = environment.ledger->use_approval(approved.request, moment->decision.evidence_digest,
                                               call.now);
  if (!used)
    return trouble_report(environment.handbook, used.error(),
                          {{"box", approved.box}, {"state", "blocked"}}, {});
  TeardownRecord record = *used;
  record.outcome = "Handed over to the human: " + moment->profile.meter_stop.verb;
  const auto saved = environment.ledger->teardown_done(record.request, record.outcome, call.now);
  if (!saved)
    record.outcome += " (the outcome could not be recorded: " + saved.error().message + ")";
  return done(environment, *moment, record);
}

// The open request about exactly this evidence, or a new one.
Result<TeardownRecord> open_request(Environment& environment, const std::string& box,
                                    const Moment& moment, const Call& call) {
  auto known = environment.ledger->teardowns(box);
  if (!known) return known.error();
  for (const TeardownRecord& record : *known) {
    const bool open = record.state == RequestState::waiting || record.state == RequestState::used ||
                      (record.state == RequestState::approved && record.expires > call.now);
    if (open && record.evidence_digest == moment.decision.evidence_digest) return record;
  }
  TeardownRecord record;
  record.request = "td-" + random_hex(6);
  record.box = box;
  record.action = "hand_over";
  record.verb = moment.profile.meter_stop.verb;
  record.irreversible = moment.profile.meter_stop.irreversible;
  record.evidence_digest = moment.decision.evidence_digest;
  record.state = RequestState::waiting;
  record.created = call.now;
  if (auto saved = environment.ledger->teardown_requested(record, call.now); !saved)
    return saved.error();
  return record;
}

ToolResult ask(Environment& environment, const Moment& moment, const TeardownRecord& request,
               double price, const Call& call) {
  if (!channel_may_approve(ApprovalChannel::form, action_of(moment.profile), environment.policy)) {
    return waiting(environment, moment, request, price, "For this action a form is not enough.");
  }
  const Answer answer = call.ask_human(
      {"approve_" + request.request, question_text(moment, request), "box_name",
       "Type the box's name to approve", "Exactly the name of the box. Leave empty to refuse."});
  switch (answer.kind) {
    case Answer::Kind::declined: return denied(environment, moment, request, "form", call);
    case Answer::Kind::cancelled:
      return waiting(environment, moment, request, price, "The form was closed.");
    case Answer::Kind::unavailable:
      return waiting(environment, moment, request, price, "This client cannot ask its user.");
    case Answer::Kind::must_wait:
      return waiting(environment, moment, request, price, "The form is open.");
    case Answer::Kind::given: break;
  }
  if (!typed_answer_approves(answer.typed, request.box)) {
    return waiting(environment, moment, request, price,
                   "What was typed is not the box's name, so it is no approval.");
  }
  // The human may have taken minutes: the approval's life starts now, not when the call began.
  Call later = call;
  later.now = environment.clock.now();
  auto approved = environment.ledger->approve(request.request, request.evidence_digest, "form",
                                              answer.who, kApprovalLifetime, later.now);
  if (!approved)
    return trouble_report(environment.handbook, approved.error(),
                          {{"box", request.box}, {"state", "blocked"}}, {});
  return carry_out(environment, *approved, price, later);
}

ToolResult teardown_request(Environment& environment, const Json& arguments, const Call& call) {
  if (environment.ledger == nullptr) return usage_error(environment.ledger_error);
  const std::string box = text_or(arguments, "box");
  const double price = number_or(arguments, "price_per_hour", 0);
  if (auto named = environment.boxes.shell(box); !named) return usage_error(named.error());
  auto moment = judge_now(environment, box, call);
  if (!moment) return usage_error(moment.error());
  if (!moment->decision.may_ask_human) return blocked(environment, box, *moment, price);
  auto request = open_request(environment, box, *moment, call);
  if (!request) return usage_error(request.error());
  if (request->state == RequestState::used) return done(environment, *moment, *request);
  if (request->state == RequestState::approved)
    return carry_out(environment, *request, price, call);
  return ask(environment, *moment, *request, price, call);
}

}  // namespace

Result<ApprovalQuestion> approval_question(Environment& environment, const std::string& request,
                                           const Call& call) {
  if (environment.ledger == nullptr) return environment.ledger_error;
  auto found = environment.ledger->find_teardown(request);
  if (!found) return found.error();
  if (!found->has_value()) {
    return Error{Code::not_found, "no teardown request \"" + clean_line(request, 40) + "\"",
                 "ask for one: rgt teardown BOX"};
  }
  const TeardownRecord& record = **found;
  if (record.state != RequestState::waiting) {
    return Error{Code::refused,
                 "request " + record.request + " is " +
                     std::string(request_state_name(record.state)) + ", not waiting",
                 "ask again: rgt teardown " + record.box};
  }
  auto moment = judge_now(environment, record.box, call);
  if (!moment) return moment.error();
  if (!moment->decision.may_ask_human) {
    const Blocker& first = moment->decision.blockers.at(0);
    return Error{Code::refused, "the evidence no longer holds: " + first.message, first.unblock};
  }
  if (moment->decision.evidence_digest != record.evidence_digest) {
    return Error{Code::refused, "something changed since request " + record.request + " was made",
                 "ask again: rgt teardown " + record.box};
  }
  return ApprovalQuestion{record.request, record.box, question_text(*moment, record),
                          record.evidence_digest};
}

ToolResult answer_on_terminal(Environment& environment, const ApprovalQuestion& question,
                              const std::string& typed, const std::string& who, const Call& call) {
  if (!typed_answer_approves(typed, question.box)) {
    return usage_error(
        {Code::refused, "what was typed is not the name of the box: not approved",
         "nothing was done; run rgt approve " + question.request + " again to approve"});
  }
  auto approved = environment.ledger->approve(question.request, question.evidence_digest,
                                              "terminal", who, kApprovalLifetime, call.now);
  if (!approved) return usage_error(approved.error());
  return carry_out(environment, *approved, 0, call);
}

Tool teardown_request_tool(Environment& environment) {
  return {card(), [&environment](const Json& arguments, const Call& call) {
            return teardown_request(environment, arguments, call);
          }};
}

}  // namespace rgt
