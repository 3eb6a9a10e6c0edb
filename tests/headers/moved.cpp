#include "amqp/rabbitmqc/headers.hpp"
#if !BEDS_MOVED_amqp || !BEDS_MOVED_framing || !BEDS_MOVED_ssl_socket || !BEDS_MOVED_tcp_socket
#error "rabbitmq-c's headers in a folder of their own are not the ones that were taken"
#endif
