#pragma once

#include "amqp/confirm_tracker.hpp"
#include "amqp/frame_encoder.hpp"
#include "amqp/rabbitmqc/link.hpp"
#include "amqp/rabbitmqc/message_reader.hpp"

#include <beds/amqp/connection.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace beds::amqp::detail {

class publisher {
public:
    publisher(detail::link& link, const publisher_options& options, core::deadline until);

    std::uint64_t publish(std::string_view exchange, std::string_view routing_key,
                          const properties& with, std::string_view body, amqp::mandatory mandatory,
                          core::deadline until);
    void flush(core::deadline until);
    bool wait_confirms(core::deadline until);
    bool pump();
    void reopen_channel(core::deadline until);
    std::vector<undelivered> take_undelivered();
    [[nodiscard]] const confirm_tracker& tracker() const { return tracker_; }
    [[nodiscard]] bool confirming() const { return options_.confirms == confirms::on; }
    [[nodiscard]] std::uint64_t last() const { return last_; }

private:
    /// True when something was settled or returned.
    bool on_frame(const amqp_frame_t& frame);
    void on_returned();
    void publish_by_library(std::string_view exchange, std::string_view routing_key,
                            const properties& with, std::string_view body,
                            amqp::mandatory mandatory, core::deadline until);
    void select_confirms(core::deadline until);

    detail::link& link_;
    publisher_options options_;
    confirm_tracker tracker_;
    std::uint64_t last_ = 0;
    out_buffer buffer_;
    message_reader reader_; ///< of returned messages
    std::uint16_t return_code_ = 0;
    std::string return_text_;
    std::vector<std::uint64_t> nacked_;
    std::vector<undelivered> undelivered_;
    std::vector<amqp_table_entry_t> table_; ///< TLS only
};

} // namespace beds::amqp::detail
