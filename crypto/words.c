/* SPDX-License-Identifier: ISC */
/* Passphrases made of words that a person can type and read out. */
#include "crypto/words_internal.h"

#define WORDS_MIN 5 /* 40 bits, before Argon2 makes each guess dear */

/*
 * 256 words, so that a random byte is a word; the first three letters of all
 * of them differ.  Changing the list breaks nothing: a passphrase is bytes.
 */
const char *const qs_words[QS_WORD_COUNT] = {
	"acid", "actor", "adult", "agent", "album", "alley", "amber", "angle",
	"ankle", "apple", "apron", "arena", "arrow", "aspen", "atlas", "attic",
	"audio", "award", "azure", "bacon", "badge", "baker", "bamboo",
	"banana", "barrel", "basket", "beach", "bench", "berry", "bishop",
	"bloom", "board", "bonus", "border", "bottle", "bread", "bridge",
	"bronze", "bubble", "bucket", "butter", "cabin", "cactus", "camel",
	"canoe", "carbon", "castle", "cedar", "chalk", "cherry", "cinema",
	"circle", "clock", "cobra", "coffee", "comet", "copper", "coral",
	"cotton", "cradle", "crown", "curve", "daisy", "dance", "decade",
	"desert", "dinner", "donkey", "double", "dragon", "dream", "drum",
	"duck", "eagle", "early", "echo", "editor", "eight", "elbow", "ember",
	"energy", "engine", "entry", "escape", "exit", "fabric", "falcon",
	"family", "fancy", "ferry", "field", "figure", "filter", "finger",
	"flame", "flock", "flute", "forest", "fossil", "frame", "fresh",
	"frost", "fruit", "galaxy", "garlic", "gentle", "ginger", "glass",
	"globe", "goose", "grape", "green", "guitar", "habit", "hammer",
	"hazel", "helmet", "hidden", "honey", "hotel", "icon", "insect", "iron",
	"island", "ivory", "jacket", "jaguar", "jelly", "jewel", "jigsaw",
	"jolly", "jungle", "kayak", "kettle", "kidney", "kitten", "knife",
	"koala", "ladder", "lagoon", "lamp", "laptop", "laser", "lemon",
	"letter", "liquid", "lizard", "lobby", "lunar", "magnet", "maple",
	"marble", "meadow", "melon", "metal", "mirror", "mobile", "monkey",
	"motor", "music", "napkin", "nature", "needle", "nephew", "nickel",
	"noble", "north", "nutmeg", "oasis", "ocean", "office", "olive",
	"onion", "opera", "orange", "orbit", "otter", "oxygen", "oyster",
	"paddle", "palace", "panda", "parrot", "pebble", "pencil", "pepper",
	"piano", "pigeon", "pillow", "pirate", "planet", "plum", "pocket",
	"polar", "potato", "puzzle", "quartz", "queen", "quiet", "rabbit",
	"radio", "rain", "ranch", "raven", "reef", "ribbon", "river", "robot",
	"rocket", "rose", "ruby", "saddle", "salmon", "sandal", "sauce",
	"seven", "shadow", "silver", "sister", "sketch", "slate", "smile",
	"socket", "spider", "spoon", "square", "summer", "sunset", "switch",
	"table", "tango", "teapot", "tennis", "ticket", "tiger", "timber",
	"tomato", "tower", "tulip", "tunnel", "turtle", "union", "urban",
	"valley", "velvet", "violin", "wagon", "walnut", "water", "window",
	"wizard", "wolf", "yacht", "yellow", "zebra", "zero",
};

void
qs_passphrase_generate(char *out, size_t cap, unsigned words)
{
	const unsigned count = words < WORDS_MIN ? WORDS_MIN : words;
	size_t at = 0;

	/* Half a passphrase would look like a whole one; none is refused. */
	if (cap / (QS_WORD_LEN_MAX + 1) < count) {
		if (cap > 0)
			out[0] = '\0';
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		uint8_t pick;
		const char *word;
		size_t len;

		qs_random(&pick, sizeof(pick));
		word = qs_words[pick];
		len = strlen(word);
		if (i > 0)
			out[at++] = '-';
		memcpy(out + at, word, len);
		at += len;
		qs_wipe(&pick, sizeof(pick));
	}
	out[at] = '\0';
}
