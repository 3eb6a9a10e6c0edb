#pragma once

#include "support/running_node.hpp"

#include <functional>
#include <string>
#include <vector>

namespace beds::test {

/// One message that cannot be worked on, and what becomes of it. `%` in body and key stands for the
/// template's name.
struct bad_message {
    std::string name;
    std::string key;
    std::string body;
    std::string code;
    /// What of the message is not as usual, beside its body.
    std::function<void(raw_message&)> change{};
    std::string field{}; ///< that the reply must name; empty: not looked at
};

/// Messages that no engine may see. Each names the template in its body and in its routing key.
std::vector<bad_message> bad_messages();

/// How many messages `check_bad_messages` sends for each of them.
inline constexpr std::uint64_t sent_for_each = 4;

/// Sends each to the template `name` in three ways: with a reply queue, with none, and with one
/// that does not exist. Each gets its code or ends among the dead, with effect none and without
/// another attempt, and the next good message is served. The template has a row 1 whose title is
/// `one`, and `raw` listens to the dead.
void check_bad_messages(raw_client& raw, const std::string& name,
                        const std::vector<bad_message>& messages);

/// `%` becomes `name`.
std::string filled(std::string text, const std::string& name);

/// That many arrays, one in the other.
std::string nested(int depth);

/// An insert of row 70 with these members besides.
std::string insert_with(const std::string& members);

inline const std::string fetch_one = R"({"v":1,"template":"%","op":"fetch","key":1})";

} // namespace beds::test
