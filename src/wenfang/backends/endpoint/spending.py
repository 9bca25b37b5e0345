"""What an endpoint has cost so far, and whether one more answer may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from wenfang.backends.endpoint.settings import EndpointSettings
from wenfang.errors import BudgetError

MILLION = 1_000_000
# A token is seldom less than two bytes of text, in any script.
BYTES_A_TOKEN = 2


@dataclass
class Ledger:
    """Tokens, characters and money spent at one endpoint.

    characters  read aloud
    answers    every one that began, those that broke off among them
    estimated  answers whose usage the endpoint did not tell
    """

    settings: EndpointSettings
    input_tokens: int = 0
    output_tokens: int = 0
    characters: int = 0
    answers: int = 0
    estimated: int = 0

    def require_room(self, prompt_bytes: int, output_tokens: int) -> None:
        """raises BudgetError where the dearest answer to a prompt would pass a cap.

        It is asked before anything is sent, so that a cap is kept and not found out.
        """
        reading = prompt_bytes // BYTES_A_TOKEN + 1
        tokens = self.input_tokens + self.output_tokens + reading + output_tokens
        if tokens > self.settings.tokens_cap:
            raise BudgetError(
                "one more answer may bring the run to {tokens} tokens, above the cap of {cap}; "
                "raise tokens_cap in endpoints.json, or ask for less",
                tokens=tokens,
                cap=self.settings.tokens_cap,
            )
        self._require_money(self._price(reading, output_tokens))

    def require_room_to_read(self, characters: int) -> None:
        """raises BudgetError where reading so many characters aloud would pass a cap."""
        total = self.characters + characters
        if total > self.settings.characters_cap:
            raise BudgetError(
                "reading this aloud brings the run to {characters} characters, above the cap of "
                "{cap}; raise characters_cap in endpoints.json, or have less read",
                characters=total,
                cap=self.settings.characters_cap,
            )
        self._require_money(self._price(characters=characters))

    def _require_money(self, more: float) -> None:
        cap = self.settings.spend_cap
        worst = self.cost + more
        if cap and worst > cap:
            raise BudgetError(
                "one more answer may bring the cost to {cost} {currency}, above the cap of {cap}; "
                "raise spend_cap in endpoints.json, or ask for less",
                cost=f"{worst:.4f}",
                currency=self.settings.currency,
                cap=f"{cap:.4f}",
            )

    def spend(self, input_tokens: int, output_tokens: int, *, estimated: bool) -> None:
        """Count one answer."""
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
        self.answers += 1
        self.estimated += estimated

    def spend_reading(self, characters: int) -> None:
        """Count one answer that was read aloud."""
        self.characters += characters
        self.answers += 1

    @property
    def cost(self) -> float:
        """In the endpoint's currency; 0 where no price is known."""
        return self._price(self.input_tokens, self.output_tokens, self.characters)

    def _price(self, input_tokens: int = 0, output_tokens: int = 0, characters: int = 0) -> float:
        prices = self.settings
        paid = input_tokens * prices.input_price + output_tokens * prices.output_price
        return (paid + characters * prices.character_price) / MILLION

    def facts(self) -> dict[str, object]:
        """For manifests, of what was written."""
        return {
            "answers": self.answers,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "estimated_answers": self.estimated,
            "cost": round(self.cost, 6),
            "currency": self.settings.currency,
        }

    def reading_facts(self) -> dict[str, object]:
        """For manifests, of what was read aloud."""
        return {
            "answers": self.answers,
            "characters": self.characters,
            "cost": round(self.cost, 6),
            "currency": self.settings.currency,
        }


def estimated_tokens(text: str) -> int:
    """Tokens of a text whose usage is not told: never too few."""
    return len(text.encode()) // BYTES_A_TOKEN + 1
