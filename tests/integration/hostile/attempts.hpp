#pragma once

#include "support/running_node.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace beds::test {

/// The templates that are attacked, on `rel` or `rec`: `notes` (a field of every type), `tags` (a
/// text is the key), `pairs` (two texts are), `turns` (a text is, and orders), `blobs` (bytes are).
/// Field names are no column names.
std::vector<std::string> hostile_templates(bool relational);

/// Puts one thing into every place of every operation. What a place cannot hold must be refused as
/// the protocol says, with effect none; what it can must be stored and compared as the value that
/// it is. Leaves the tables as they were: each with one row of somebody else.
class attempts {
public:
    attempts(client::client& asks, raw_client& raw, bool relational);

    /// The rows of somebody else.
    void make_neighbours();

    void text(const std::string& given);
    /// Bytes that are no UTF-8: there is no place for them but in base64 and in properties.
    void bytes(const std::string& given);
    /// An object or array where a plain value belongs.
    void json(const std::string& given);
    /// Plain values of every wrong type, in every field; fields that are not the caller's.
    void wrong_values();
    /// A text where names, lists and values of other types belong: every one is refused.
    void names(const std::string& given);

private:
    struct refusal {
        std::string operation; ///< its members as JSON
        std::string code;
    };
    /// All in one message; each must be refused with its code.
    void refused(const std::vector<refusal>& all);
    /// Each must be refused whole, as no envelope.
    void refused_whole(std::vector<raw_message> all);
    std::string ask(raw_message message);
    client::reply in_sequence(std::vector<client::operation> all);

    void values(const std::string& given);
    void ordered(const std::string& given);
    void keys(const std::string& given);
    void properties(const std::string& given);
    void blobs(const std::string& given);

    client::client* client_;
    raw_client* raw_;
    bool relational_;
    std::int64_t row_ = 1000;
    std::uint64_t sent_ = 0;
};

/// Every principal sends the same id with an operation of its own: each takes effect once.
void check_principals(node::node& node, const std::vector<std::string>& principals);

} // namespace beds::test
