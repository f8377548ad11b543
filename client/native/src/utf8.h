// Characters in UTF-8.
#pragma once

#include <cstddef>
#include <string_view>

namespace nemo_ctc::utf8 {

inline bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

inline std::size_t length(std::string_view text) {
  std::size_t count = 0;
  for (const char byte : text) count += begins_character(byte);
  return count;
}

// Where the last character begins.
inline std::size_t last(std::string_view text) {
  std::size_t at = text.size();
  while (at > 0 && !begins_character(text[--at])) {
  }
  return at;
}

}  // namespace nemo_ctc::utf8
