#pragma once

#include <beds/client/client.hpp>

#include <functional>
#include <string>
#include <vector>

namespace beds::test {

/// Text that means something to somebody: SQL, LIKE, escapes, JSON, BSON, terminals.
std::vector<std::string> texts();

/// Each text as a value, in conditions and as a key of `notes` and `tags`: it comes back byte for
/// byte and finds its own row only; where a name belongs it is refused. `said` hands it to a call
/// and returns what came back. Leaves a row of `notes` for each text, and in `tags` what was there.
void check_texts(client::client& client,
                 const std::function<std::string(const std::string&)>& said);

} // namespace beds::test
