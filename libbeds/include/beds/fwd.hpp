#pragma once

/// Names of the types that other headers mention most, for headers that only pass them on.

namespace beds::core {
class arena;
class clock;
class deadline;
class error;
class secret;
class supervisor;
struct datum;
struct operation;
struct outcome;
struct request;
struct value;
} // namespace beds::core

namespace beds::observe {
class log_sink;
struct broker_counters;
struct log_record;
} // namespace beds::observe

namespace beds::config {
struct settings;
} // namespace beds::config

namespace beds::templates {
class registry;
struct template_def;
} // namespace beds::templates

namespace beds::amqp {
struct connection_settings;
struct topology;
} // namespace beds::amqp

namespace beds::adapters {
class adapter;
class memory_call;
class session;
} // namespace beds::adapters

namespace beds::client {
class client;
class reply;
class result;
class row;
class value;
struct amqp_client_settings;
struct local_client_settings;
struct operation;
struct request;
} // namespace beds::client

namespace beds::node {
class node;
struct node_status;
} // namespace beds::node
