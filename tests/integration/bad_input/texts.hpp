#pragma once

#include "support/running_node.hpp"

#include <beds/client/client.hpp>

#include <functional>
#include <string>
#include <vector>

namespace beds::test {

/// Text that means something to somebody: SQL, LIKE, escapes, JSON, BSON, terminals.
std::vector<std::string> texts();

/// Each text as a value, in conditions and as a key of `notes` and `tags`: it comes back byte for
/// byte and finds its own row only; where a name or a value of another type belongs it is refused.
/// `said` hands it to a call and returns what came back. Leaves a row of `notes` for each text, and
/// in `tags` what was there.
void check_texts(client::client& client,
                 const std::function<std::string(const std::string&)>& said);

/// Each text where only a message by hand can have it: in the envelope's own members, in properties
/// and headers. Each message is delivered once; to count them, the node is stopped. `notes` has a
/// row 1 whose title is `one`, and `raw` listens to the dead.
void check_texts(running_node& running, raw_client& raw);

} // namespace beds::test
