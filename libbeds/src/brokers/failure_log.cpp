#include "brokers/failure_log.hpp"

#include <algorithm>
#include <chrono>

namespace beds::brokers {
namespace {

using core::code;
using observe::level;

/// What applications are told in the course of their work.
bool is_usual(code of) {
    switch (of) {
    case code::not_found:
    case code::conflict:
    case code::rejected:
    case code::invalid_transition:
    case code::guard_failed:
    case code::consent_required:
    case code::duplicate_key:
    case code::constraint:
    case code::skipped:
        return true;
    default:
        return false;
    }
}

bool is_plain(char sign) {
    return (sign >= 'a' && sign <= 'z') || (sign >= 'A' && sign <= 'Z') ||
           (sign >= '0' && sign <= '9') || sign == '.' || sign == '_' || sign == ':' || sign == '-';
}

/// Callers' own words: bounded, and nothing that a log could take for something else.
void append_word(std::string& to, std::string_view label, std::string_view word) {
    if (word.empty()) {
        return;
    }
    constexpr std::size_t most = 64;
    to += label;
    for (const char sign : word.substr(0, most)) {
        to += is_plain(sign) ? sign : '?';
    }
    if (word.size() > most) {
        to += "...";
    }
}

} // namespace

void failure_log::enter(std::span<const taken> batch, std::span<const factory::message> messages,
                        core::steady_time now) {
    for (const auto& one : batch) {
        failure found;
        const auto describe = [&] {
            const auto& properties = one.delivery->properties();
            found.event = one.event;
            found.message_id = properties.message_id;
            found.trace = properties.text("traceparent").value_or(std::string_view{});
        };
        if (one.refused) {
            describe();
            found.result = *one.refused;
            enter(found, now);
            continue;
        }
        const auto& message = messages[one.message];
        for (std::size_t i = 0; i < message.results.size(); ++i) {
            if (message.results[i].ok()) {
                continue;
            }
            const auto& op = message.request.operations[i];
            describe();
            found.template_name = op.template_name;
            found.op = op.refused == code::ok ? std::optional{op.op} : std::nullopt;
            found.position = i;
            found.result = message.results[i];
            enter(found, now);
        }
    }
}

void failure_log::enter(const failure& one, core::steady_time now) {
    const bool usual = is_usual(one.result.code);
    if (!log_.wants(usual ? level::debug : level::info)) {
        return;
    }
    sum_up(now);
    if (now - second_ >= std::chrono::seconds{1}) {
        second_ = now;
        written_ = 0;
    }
    if (written_ == most_a_second) {
        ++left_out_;
        ++left_out_of_[static_cast<std::size_t>(one.result.code)];
        return;
    }
    ++written_;
    text_.clear();
    text_ += "code=";
    text_ += to_string(one.result.code);
    text_ += " effect=";
    text_ += to_string(one.result.effect);
    append_word(text_, " template=", one.template_name);
    if (one.op) {
        text_ += " op=";
        text_ += to_string(*one.op);
    }
    append_word(text_, " event=", one.event);
    text_ += " position=";
    text_ += std::to_string(one.position);
    append_word(text_, " message_id=", one.message_id);
    append_word(text_, " trace=", one.trace);
    log_.write(usual ? level::debug : level::info, "BEDS_REQUEST_FAILED", name_, text_);
}

void failure_log::sum_up(core::steady_time now) {
    if (left_out_ == 0 || now - second_ < std::chrono::seconds{1}) {
        return;
    }
    text_ = std::to_string(left_out_) + " more failed:";
    for (std::size_t i = 0; i < left_out_of_.size(); ++i) {
        if (left_out_of_[i] != 0) {
            text_ += ' ';
            text_ += to_string(static_cast<code>(i));
            text_ += ' ';
            text_ += std::to_string(left_out_of_[i]);
        }
    }
    left_out_ = 0;
    left_out_of_ = {};
    log_.write(level::info, "BEDS_REQUESTS_FAILED", name_, text_);
}

} // namespace beds::brokers
