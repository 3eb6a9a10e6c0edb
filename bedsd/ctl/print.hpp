#pragma once

#include "exit_code.hpp"

#include <beds/client/reply.hpp>

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace bedsctl {

/// A value as a person reads it: strings without quotes, null as nothing, the rest as JSON. Control
/// characters are shown as \xNN, so that data cannot steer the terminal.
std::string cell_text(const beds::core::datum& value);

/// Lines of columns, each as wide as its widest cell. Every row has as many cells as the head.
/// Control characters in them are shown as in `cell_text`.
void print_table(std::ostream& out, std::vector<std::string> head,
                 std::vector<std::vector<std::string>> rows);

/// What the reply says, for people: rows to `out`, errors and what to do about them to `err`.
void print_reply(std::ostream& out, std::ostream& err, const beds::client::reply& reply);

/// What `describe` answered: all templates in brief, or with `detailed` their fields and
/// operations.
enum class detail { brief, full };
void print_catalog(std::ostream& out, const beds::client::reply& reply, detail how);

/// The highest of the codes of all results.
exit_code exit_code_of(const beds::client::reply& reply);

} // namespace bedsctl
