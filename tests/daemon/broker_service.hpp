#pragma once

#include "daemon/bedsd/process.hpp"
#include "support/servers.hpp"

#include <string>

namespace daemon_test {

/// The part of a configuration that says which RabbitMQ the node has, with the password in
/// TEST_AMQP_PASS. `instances`: of the connection that is named first.
inline std::string broker_service(const beds::test::endpoint& amqp, const std::string& tag,
                                  const std::string& connection, const std::string& instances) {
    return "[broker_services.app_server]\nhost = " + in_quotes(amqp.host) +
           "\nport = " + std::to_string(amqp.port) + "\nvhost = " + in_quotes(amqp.path) +
           "\nuser = " + in_quotes(amqp.user) +
           "\npass_env = \"TEST_AMQP_PASS\"\nqueue_tag = " + in_quotes(tag) + "\ninstances." +
           connection + " = " + instances + "\n";
}

} // namespace daemon_test
