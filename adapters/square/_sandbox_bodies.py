"""The request bodies Square accepts, as tables: names and limits of its published specification, version 2025-08-20."""

import re

from ._sandbox_checks import (
    Check,
    anything,
    flag,
    many,
    metadata,
    moment,
    money,
    one_of,
    shape,
    signed_money,
    text,
    whole,
)

_QUANTITY = re.compile(r"\d{1,7}(\.\d{1,5})?")
_PERCENTAGE = re.compile(r"\d{1,3}(\.\d{1,5})?")
_DURATION = re.compile(r"P(?!$)(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?")
_PHONE = re.compile(r"\+?[0-9 ().\-]{3,16}")
_UID = text(60)
_CATALOG = text(192)
_PERCENT = text(10, 1, _PERCENTAGE)
_PHONE_NUMBER = text(17, 1, _PHONE)
_LENGTH = text(30, 1, _DURATION)

_ADDRESS = shape(
    {
        **{f"address_line_{n}": text(500) for n in (1, 2, 3)},
        **{name: text(300) for name in ("locality", "sublocality", "sublocality_2", "sublocality_3")},
        **{f"administrative_district_level_{n}": text(300) for n in (1, 2, 3)},
        "postal_code": text(12),
        "country": text(2, 2),
        "first_name": text(300),
        "last_name": text(300),
    }
)
_RECIPIENT = shape(
    {
        "customer_id": text(191),
        "display_name": text(255, 1),
        "email_address": text(255),
        "phone_number": _PHONE_NUMBER,
        "address": _ADDRESS,
    }
)
_DONE_AT = dict.fromkeys(("placed_at", "rejected_at", "ready_at", "canceled_at"), anything)
_PICKUP = shape(
    {
        "recipient": _RECIPIENT,
        "expires_at": moment,
        "auto_complete_duration": _LENGTH,
        "schedule_type": one_of("ASAP", "SCHEDULED"),
        "pickup_at": moment,
        "pickup_window_duration": _LENGTH,
        "prep_time_duration": _LENGTH,
        "note": text(500),
        "cancel_reason": text(100),
        "is_curbside_pickup": flag,
        "curbside_pickup_details": shape({"curbside_details": text(250), "buyer_arrived_at": moment}),
        **_DONE_AT,
        **dict.fromkeys(("accepted_at", "expired_at", "picked_up_at"), anything),
    }
)
_DELIVERY = shape(
    {
        "recipient": _RECIPIENT,
        "schedule_type": one_of("ASAP", "SCHEDULED"),
        "deliver_at": moment,
        "prep_time_duration": _LENGTH,
        "delivery_window_duration": _LENGTH,
        "note": text(550),
        "completed_at": moment,
        "cancel_reason": text(100),
        "courier_pickup_at": moment,
        "courier_pickup_window_duration": _LENGTH,
        "is_no_contact_delivery": flag,
        "dropoff_notes": text(550),
        "courier_provider_name": text(255),
        "courier_support_phone_number": _PHONE_NUMBER,
        "square_delivery_id": text(50),
        "external_delivery_id": text(50),
        "managed_delivery": flag,
        **_DONE_AT,
        **dict.fromkeys(("in_progress_at", "delivered_at"), anything),
    }
)
FULFILLMENT_STATES = ("PROPOSED", "RESERVED", "PREPARED", "COMPLETED", "CANCELED", "FAILED")
_FULFILLMENT = shape(
    {
        "uid": _UID,
        "type": one_of("PICKUP", "DELIVERY", "SHIPMENT"),
        "state": one_of(*FULFILLMENT_STATES),
        "pickup_details": _PICKUP,
        "delivery_details": _DELIVERY,
        "shipment_details": anything,
        "metadata": metadata,
        "line_item_application": anything,
        "entries": anything,
    }
)
_MODIFIER = shape(
    {
        "uid": _UID,
        "catalog_object_id": _CATALOG,
        "catalog_version": whole,
        "name": text(255),
        "quantity": text(12, 1, _QUANTITY),
        "base_price_money": signed_money,
        "total_price_money": anything,
        "metadata": metadata,
    }
)
_APPLIED = {"uid": _UID, "applied_money": anything}
_LINE_SUMS = (
    "variation_total_price_money",
    "gross_sales_money",
    "total_tax_money",
    "total_discount_money",
    "total_money",
    "total_service_charge_money",
)
_LINE = shape(
    {
        "uid": _UID,
        "name": text(512),
        "quantity!": text(12, 1, _QUANTITY),
        "quantity_unit": anything,
        "note": text(2000),
        "catalog_object_id": _CATALOG,
        "catalog_version": whole,
        "variation_name": text(400),
        "item_type": one_of("ITEM", "CUSTOM_AMOUNT", "GIFT_CARD"),
        "metadata": metadata,
        "modifiers": many(_MODIFIER),
        "applied_taxes": many(shape({**_APPLIED, "tax_uid!": text(60, 1), "auto_applied": flag})),
        "applied_discounts": many(shape({**_APPLIED, "discount_uid!": text(60, 1)})),
        "applied_service_charges": many(shape({**_APPLIED, "service_charge_uid!": text(60, 1)})),
        "base_price_money": money,
        "pricing_blocklists": anything,
        **dict.fromkeys(_LINE_SUMS, anything),
    }
)
_NAMED = {"uid": _UID, "catalog_object_id": _CATALOG, "catalog_version": whole, "percentage": _PERCENT, "metadata": metadata}
_ORDER_FIELDS: dict[str, Check] = {
    "location_id": text(50, 1),
    "reference_id": text(40),
    "source": shape({"name": text(255)}),
    "customer_id": text(191),
    "line_items": many(_LINE),
    "taxes": many(
        shape(
            {
                **_NAMED,
                "name": text(255),
                "type": one_of("ADDITIVE", "INCLUSIVE"),
                "scope": one_of("LINE_ITEM", "ORDER"),
                "applied_money": anything,
                "auto_applied": anything,
            }
        )
    ),
    "discounts": many(
        shape(
            {
                **_NAMED,
                "name": text(255),
                "type": one_of("FIXED_PERCENTAGE", "FIXED_AMOUNT", "VARIABLE_PERCENTAGE", "VARIABLE_AMOUNT"),
                "amount_money": money,
                "scope": one_of("LINE_ITEM", "ORDER"),
                "applied_money": anything,
                "reward_ids": anything,
                "pricing_rule_id": anything,
            }
        )
    ),
    "service_charges": many(
        shape(
            {
                **_NAMED,
                "name": text(512, 1),
                "amount_money": money,
                "calculation_phase": one_of("SUBTOTAL_PHASE", "TOTAL_PHASE", "APPORTIONED_PERCENTAGE_PHASE", "APPORTIONED_AMOUNT_PHASE"),
                "taxable": flag,
                "applied_taxes": many(shape({**_APPLIED, "tax_uid!": text(60, 1)})),
                "treatment_type": one_of("LINE_ITEM_TREATMENT", "APPORTIONED_TREATMENT"),
                "scope": one_of("LINE_ITEM", "ORDER"),
                **dict.fromkeys(("applied_money", "total_money", "total_tax_money", "type"), anything),
            }
        )
    ),
    "fulfillments": many(_FULFILLMENT),
    "metadata": metadata,
    "state": one_of("DRAFT", "OPEN", "COMPLETED", "CANCELED"),
    "version": whole,
    "ticket_name": text(30),
    "pricing_options": shape({"auto_apply_discounts": flag, "auto_apply_taxes": flag}),
    **dict.fromkeys(("id", "returns", "return_amounts", "net_amounts", "net_amount_due_money", "rounding_adjustment"), anything),
    **dict.fromkeys(("tenders", "refunds", "rewards", "created_at", "updated_at", "closed_at"), anything),
    **dict.fromkeys(("total_money", "total_tax_money", "total_discount_money", "total_tip_money"), anything),
    "total_service_charge_money": anything,
}
ORDER = shape({**{k: v for k, v in _ORDER_FIELDS.items() if k != "location_id"}, "location_id!": _ORDER_FIELDS["location_id"]})
SPARSE_ORDER = shape({**{k: v for k, v in _ORDER_FIELDS.items() if k != "version"}, "version!": whole})
CREATE_ORDER = shape({"order!": ORDER, "idempotency_key": text(192)})
CALCULATE_ORDER = shape({"order!": ORDER, "proposed_rewards": anything})
UPDATE_ORDER = shape({"order!": SPARSE_ORDER, "fields_to_clear": many(text(200)), "idempotency_key": text(192)})
PAY_ORDER = shape({"idempotency_key!": text(192, 1), "order_version": whole, "payment_ids": many(text(192, 1))})
_RANGE = shape({"start_at": moment, "end_at": moment})
SEARCH_ORDERS = shape(
    {
        "location_ids!": many(text(50, 1), 10),
        "cursor": text(1000),
        "limit": whole,
        "return_entries": flag,
        "query": shape(
            {
                "filter": shape(
                    {
                        "state_filter": shape({"states!": many(_ORDER_FIELDS["state"])}),
                        "date_time_filter": shape({"created_at": _RANGE, "updated_at": _RANGE, "closed_at": _RANGE}),
                        "fulfillment_filter": shape(
                            {
                                "fulfillment_types": many(one_of("PICKUP", "DELIVERY", "SHIPMENT")),
                                "fulfillment_states": many(one_of(*FULFILLMENT_STATES)),
                            }
                        ),
                        "source_filter": shape({"source_names": many(text(255), 10)}),
                        "customer_filter": shape({"customer_ids": many(text(191), 10)}),
                    }
                ),
                "sort": shape({"sort_field!": one_of("CREATED_AT", "UPDATED_AT", "CLOSED_AT"), "sort_order": one_of("ASC", "DESC")}),
            }
        ),
    }
)
CREATE_PAYMENT = shape(
    {
        "source_id!": text(255, 1),
        "idempotency_key!": text(45, 1),
        "amount_money!": money,
        "tip_money": money,
        "app_fee_money": money,
        "autocomplete": flag,
        "order_id": text(192),
        "customer_id": text(191),
        "location_id": text(50),
        "team_member_id": text(192),
        "reference_id": text(40),
        "accept_partial_authorization": flag,
        "buyer_email_address": text(255),
        "buyer_phone_number": _PHONE_NUMBER,
        "note": text(500),
        "cash_details": shape({"buyer_supplied_money!": money, "change_back_money": money}),
        "external_details": shape(
            {
                "type!": one_of(
                    "CHECK",
                    "BANK_TRANSFER",
                    "OTHER_GIFT_CARD",
                    "CRYPTO",
                    "SQUARE_CASH",
                    "SOCIAL",
                    "EXTERNAL",
                    "EMONEY",
                    "CARD",
                    "STORED_BALANCE",
                    "FOOD_VOUCHER",
                    "OTHER",
                ),
                "source!": text(255, 1),
                "source_id": text(255),
                "source_fee_money": money,
            }
        ),
    }
)
CREATE_REFUND = shape(
    {
        "idempotency_key!": text(45, 1),
        "amount_money!": money,
        "payment_id!": text(192, 1),
        "reason": text(192),
        **dict.fromkeys(("unlinked", "location_id", "customer_id", "destination_id", "cash_details"), anything),
        "external_details": anything,
        "payment_version_token": anything,
        "team_member_id": text(192),
        "app_fee_money": money,
    }
)
_STATES = one_of("IN_STOCK", "SOLD", "WASTE", "NONE", "UNLINKED_RETURN", "RETURNED_BY_CUSTOMER")
_COUNTED: dict[str, Check] = {
    "id": anything,
    "reference_id": text(255),
    "catalog_object_id!": text(100, 1),
    "catalog_object_type": text(14),
    "location_id!": text(100, 1),
    "quantity!": text(26, 1, re.compile(r"\d{1,20}(\.\d{1,5})?")),
    "occurred_at!": moment,
    "team_member_id": text(100),
    "employee_id": text(100),
    "source": anything,
    "created_at": anything,
}
CHANGE_INVENTORY = shape(
    {
        "idempotency_key!": text(128, 1),
        "ignore_unchanged_counts": flag,
        "changes!": many(
            shape(
                {
                    "type!": one_of("PHYSICAL_COUNT", "ADJUSTMENT"),
                    "physical_count": shape({**_COUNTED, "state!": _STATES}),
                    "adjustment": shape({**_COUNTED, "from_state!": _STATES, "to_state!": _STATES}),
                }
            ),
            100,
        ),
    }
)
COUNTS = shape(
    {
        "catalog_object_ids": many(text(100, 1), 1000),
        "location_ids": many(text(100, 1)),
        "updated_after": moment,
        "cursor": text(1000),
        "states": many(_STATES),
        "limit": whole,
    }
)
SUBSCRIBE = shape(
    {
        "idempotency_key": text(45),
        "subscription!": shape(
            {
                "name!": text(64, 1),
                "enabled": flag,
                "event_types!": many(text(100, 1), 100),
                "notification_url!": text(2048, 1, re.compile(r"https?://\S+")),
                "api_version": text(20),
                **dict.fromkeys(("id", "signature_key", "created_at", "updated_at"), anything),
            }
        ),
    }
)
