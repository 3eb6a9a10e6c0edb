#pragma once

#include "support/running_node.hpp"

#include <beds/client/client.hpp>

#include <string>

/// Code beside a template over RabbitMQ: each payment writes a line of `ledger` that names the step
/// of work it comes from.
namespace beds::test {

node_options with_payments(node_options given, const std::string& store);

/// With transactions what fails leaves nothing behind.
void check_payments(client::client& through, bool transactions);
/// Who asked is found again from the row that came of it, over two steps.
void check_lineage(client::client& through);

} // namespace beds::test
