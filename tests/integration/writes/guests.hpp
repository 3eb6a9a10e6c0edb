#pragma once

#include "support/catch.hpp"

#include <beds/client/client.hpp>
#include <beds/client/request.hpp>

#include <string>

/// What every engine makes of `on_conflict`, `return` and `soft_delete`, over RabbitMQ.
namespace beds::test {

/// `guests` (deleted by a mark, unique `email`) and `all_guests` over the same rows, who sees it.
std::vector<std::string> guest_templates(const std::string& store);

/// Asks with the protocol's JSON: `members` without the braces.
class guest_desk {
public:
    explicit guest_desk(client::client& through) : through_(through) {}
    /// The reply as JSON; with the same id again, the request is the same one.
    std::string operator()(const std::string& members, const std::string& of = "guests",
                           const std::string& id = {});

private:
    client::client& through_;
};

void check_soft_delete(client::client& through);
void check_conflicts(client::client& through);
void check_returned_rows(client::client& through);
/// What an engine without transactions refuses, and nothing else.
void check_by_where(client::client& through, bool transactions);

} // namespace beds::test
