#include "in_process.hpp"

#include "connect.hpp"
#include "engines/engines.hpp"

#include <beds/client/local_client.hpp>
#include <beds/node/node.hpp>

namespace bedsctl {

in_process::in_process(const connection_options& given)
    : node(std::make_unique<beds::node::node>(load(given.config))) {
    bedsd::register_engines(*node);
    node->check();
    beds::client::local_client_settings how;
    how.principal = client_settings(given).amqp.user;
    client = beds::client::make_local_client(node->registry(), node->adapters(), std::move(how));
}

in_process::~in_process() {
    client.reset();
}

} // namespace bedsctl
