#pragma once

#include "support/running_node.hpp"

#include <string>
#include <vector>

/// Writes in the order in which they were published, by values of every type that `order_by` takes.
namespace beds::test {

/// Names of the types: each has a template, over an object of the same name, `ladder_TYPE`.
std::vector<std::string> ladder_types();
std::vector<std::string> ladder_templates(const std::string& store);
/// Climbs each ladder step by step, through two nodes: a step that is taken before the one below it
/// is a conflict. `options` are those of both nodes.
void check_ladders(const endpoint& rabbitmq, const config::rel_service_settings* rel,
                   node_options options);

} // namespace beds::test
